"""A device with one release on offer, whose pauses are short."""

import pytest

from tests.scenario.one_device.home import Home


@pytest.fixture(autouse=True)
def haste(monkeypatch):
    for module in ("jobs", "effects", "update"):
        monkeypatch.setattr(f"agent.loops.release.{module}.RETRY_S", 0.005)
    monkeypatch.setattr("agent.loops.release.update.CLOCK_POLL_S", 0.005)


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    made.publish("1")
    made.order(1, stable="1")
    return made
