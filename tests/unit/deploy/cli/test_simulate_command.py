import pytest
from msgspec.structs import replace

from agent.wire.errors import Unavailable
from deploy.cli.main import main
from deploy.core.rollouts.words import Outcome
from deploy.simulation import run
from deploy.simulation.outcome import Ran
from tests.fakes.simulated import FREE

RAN = Ran(
    scenario="x", words="y", seed=0, devices=4, outcome=Outcome.REVERTED, exposed=1, fallen=1, up_s=1.0,
    stretch=1.0, rollout_s=7.0, detect_s=2.0, revert_s=1.0, cost=FREE, course=(), decisions=(),
    ends={"stable": 4},
)  # fmt: skip
ENDS = {
    0: RAN,
    1: replace(RAN, seed=1, exposed=3, detect_s=4.0, failures=("3 devices were exposed",)),
    2: replace(RAN, seed=2, outcome=Outcome.COMPLETED, detect_s=None, revert_s=None),
}


@pytest.fixture(autouse=True)
def ended(monkeypatch):
    """Fleets take minutes: here each seed has come to its end."""

    def at_once(request, _on_stage):
        if request.seed not in ENDS:
            raise Unavailable("the broker did not start")
        return ENDS[request.seed]

    monkeypatch.setattr(run, "run", at_once)


def test_many_runs_are_summed_up_and_one_that_came_to_no_end_ends_no_other(capsys):
    assert main(["simulate", "--seed", "0", "--runs", "4"]) == 1
    told, said = capsys.readouterr()
    summary = told[told.index("3 runs:") :]
    for says in (
        "3 runs: 2 reverted, 1 completed", "exposed          p50 1, p99 2.96, most 3",
        "time to detect   p50 3.0 s, p99 4.0 s, most 4.0 s (of 2 runs)", "not as expected: seeds 1",
        "came to no end: seeds 3",
    ):  # fmt: skip
        assert says in summary
    assert "seed 3 came to no end: the broker did not start" in said


@pytest.mark.parametrize(("seed", "code"), [(0, 0), (1, 1), (3, 1)])
def test_the_exit_code_of_one_run_says_whether_it_went_as_expected(seed, code):
    assert main(["simulate", "--seed", str(seed)]) == code
