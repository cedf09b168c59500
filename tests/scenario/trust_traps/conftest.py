import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.operator import Operator


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def operator(tmp_path, clock):
    return Operator(tmp_path / "operator", clock)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "device"
