from datetime import timedelta

from deploy.core.page import figures
from deploy.core.page.words import Row
from deploy.core.rollouts.words import Outcome
from tests.fakes.figures import brief, fleet_now
from tests.fakes.windows import BEGIN


def found(rows=(), rollouts=()):
    told = figures.of_fleet(fleet_now(rows), rollouts, 0, {})
    return {family.name: family for family in told}


def test_releases_beyond_the_bound_are_counted_together():
    rows = [Row(device=f"d{n}", running=f"cats@{n}") for n in range(200)]
    samples = found(rows)["shoal_fleet_pipelines_release"].samples
    assert len(samples) == figures.VALUES_MAX + 1
    assert sum(sample.value for sample in samples) == 200


def test_of_a_fleet_of_nobody_every_figure_is_there():
    told = found()
    assert told["shoal_fleet_pipelines_release"].samples == ()
    assert {sample.value for sample in told["shoal_fleet_pipelines_phase"].samples} == {0.0}


def test_of_many_rollouts_those_that_go_on_and_the_newest_are_told():
    ended = [
        brief(f"r{n}", outcome=Outcome.COMPLETED, started_at=BEGIN + timedelta(days=n), verdict=None)
        for n in range(50)
    ]
    told = found(rollouts=[brief("old", started_at=BEGIN - timedelta(days=9)), *ended])
    names = {sample.labels["rollout"] for sample in told["shoal_fleet_rollout_wave"].samples}
    assert len(names) == figures.ROLLOUTS_MAX
    assert {"old", "r49"} <= names
    verdicts = {sample.labels["rollout"] for sample in told["shoal_fleet_rollout_verdict"].samples}
    assert verdicts == {"old"}
