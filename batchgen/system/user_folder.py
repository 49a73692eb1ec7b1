"""The folder of the user's own data, where what was read of the service's models is kept."""

from __future__ import annotations

import os
from pathlib import Path

MODELS_VARIABLE = "BATCHGEN_MODELS"
"""Names another folder for the models; tests and shared machines set it."""


def models_folder() -> Path:
    """Where `batchgen models --update` writes; it need not be there."""
    given = os.environ.get(MODELS_VARIABLE, "").strip()
    if given:
        return Path(given)
    from platformdirs import user_data_path  # noqa: PLC0415  most commands look at nothing else

    return user_data_path("batchgen", appauthor=False) / "models"
