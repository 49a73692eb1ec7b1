"""Money for people."""

import pytest

from batchgen.core.common.formatting import usd


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "$0.00"),
        (12.34, "$12.34"),
        (0.067, "$0.0670"),
        (0.0005, "$0.0005"),
        (0.00031, "$0.000310"),
        (0.000003, "$0.000003"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money_has_as_many_digits_as_it_needs(value, text):
    assert usd(value) == text
