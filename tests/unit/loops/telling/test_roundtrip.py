import pytest

from agent.loops.telling.roundtrip import FRESH_S, TimedLink
from agent.ports.link import Outgoing
from agent.wire.topics import Qos
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink


class Scene:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.link = MemoryLink(MemoryBroker())
        self.timed = TimedLink(self.link, self.clock)
        self.timed.open(lambda _: None)
        self.link.acknowledges = False

    def publish(self, qos: Qos, seconds: float) -> None:
        self.timed.publish(Outgoing("topic", b"", qos, retain=False))
        self.clock.advance(seconds)
        for future in self.link._unanswered:
            future.set_result(None)
        self.link._unanswered.clear()


def test_the_time_to_the_newest_acknowledgement_is_known() -> None:
    scene = Scene()
    assert scene.timed.round_trip_ms is None
    scene.publish(Qos.AT_LEAST_ONCE, 0.040)
    scene.publish(Qos.AT_LEAST_ONCE, 0.015)
    assert scene.timed.round_trip_ms == pytest.approx(15.0)


def test_what_is_not_acknowledged_says_nothing() -> None:
    scene = Scene()
    scene.publish(Qos.AT_MOST_ONCE, 0.040)
    scene.timed.publish(Outgoing("topic", b"", Qos.AT_LEAST_ONCE, retain=False))
    scene.link.drop()
    assert scene.timed.round_trip_ms is None


def test_an_old_measurement_is_none() -> None:
    scene = Scene()
    scene.publish(Qos.AT_LEAST_ONCE, 0.040)
    scene.clock.advance(FRESH_S)
    assert scene.timed.round_trip_ms is None
