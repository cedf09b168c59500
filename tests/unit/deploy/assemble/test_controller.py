import pytest

from agent.core.update import cohort
from deploy.core.rollouts.words import Outcome
from tests.fakes.controlled import Controlled


@pytest.fixture
def fleet(tmp_path) -> Controlled:
    fleet = Controlled(tmp_path)
    fleet.puppets.appear(fleet.ids(20))
    return fleet


def inside(fleet):
    plan = fleet.plan()
    return [d for d in fleet.ids(20) if cohort.belongs(plan.cut, "cpu", plan.salt, d)]


def test_a_good_release_reaches_everybody_wave_by_wave(fleet):
    with fleet.desk() as desk:
        fleet.start(desk, "1", "25%", "100%")
        reached = []
        for _ in range(3):
            reached.append(len(inside(fleet)))
            fleet.puppets.follow(fleet.plan())
            fleet.turn(desk)
        assert reached == [1, 5, 20]
        assert desk.fleet().rollouts["r"].outcome is Outcome.COMPLETED
        entries = [line.entry for line in desk.ledger.lines()]
        assert [type(each).__name__ for each in entries].count("Judged") == 3
