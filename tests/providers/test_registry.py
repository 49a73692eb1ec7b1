"""Which service a record belongs to."""

import pytest

from batchgen.providers.registry import SERVICES, service_of
from batchgen.providers.segmind.provider import Segmind


@pytest.mark.parametrize("name", [None, "segmind", "host localhost", "the simulator"])
def test_every_record_of_today_is_segminds(name):
    service = service_of(name)
    assert isinstance(service.provider, Segmind)
    assert service.capabilities.retention_s == 3600.0
    assert service.load_catalog().get("flux-kontext-pro")


def test_every_service_has_a_name_of_its_own():
    assert all(service_of(name) is service for name, service in SERVICES.items())
