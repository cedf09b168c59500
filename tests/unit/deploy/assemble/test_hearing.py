from datetime import timedelta

import pytest

from agent.ports.link import Down, Up
from deploy.assemble.desk.hearing import Connections, Hearing
from tests.fakes.clock import FakeClock


@pytest.mark.parametrize("leap_s", [7_200.0, -7_200.0])
def test_a_clock_that_leaps_makes_nobody_silent(leap_s):
    clock = FakeClock()
    hearing = Hearing(clock)
    clock.advance(3_600.0)
    hearing.look()
    assert hearing.since is None
    clock.set(clock.now() + timedelta(seconds=leap_s))
    hearing.look()
    assert hearing.since == clock.now()
    leapt = hearing.since
    clock.advance(3_600.0)
    hearing.look()
    assert hearing.since == leapt


def test_a_break_lasts_from_the_first_loss_to_the_return():
    connections = Connections(iter([10.0, 75.0]).__next__)
    connections.told(Up(attempts=1))
    assert (connections.made, connections.away_s) == (1, 0.0)
    for _ in range(2):
        connections.told(Down("gone"))
    connections.told(Up(attempts=3))
    assert (connections.made, connections.up, connections.away_s) == (2, True, 65.0)
