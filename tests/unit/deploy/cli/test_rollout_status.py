"""What `shoal rollout status` says of a rollout."""

import pytest

from deploy.cli.rollout import status
from deploy.core.rollouts.words import Aborted, Judged, Judgement, Tally, Verdict
from tests.fakes import rollouts

BEGUN = (0, rollouts.steered(rollouts.plan()))
WELL = Judgement(verdict=Verdict.PROMOTE, findings=(), tally=Tally(healthy=(rollouts.seen("pi").id,)))
JUDGED = (1, Judged(rollout="birds-2", wave=0, judgement=WELL, picture=rollouts.VARIANT))
ABORTED = (2, Aborted(rollout="birds-2", why="too early"))
SIGNED_FIRST = rollouts.order("100%", approve=("100%",))


@pytest.mark.parametrize(
    ("order", "entries", "said"),
    [
        (None, [BEGUN], "gate: nobody has looked yet: shoal serve does"),
        (None, [BEGUN, JUDGED], "  devices: 1 healthy"),
        (None, [BEGUN, JUDGED, ABORTED], "  devices, before it was taken back: 1 healthy"),
        (
            SIGNED_FIRST,
            [(1, JUDGED[1])],
            "not begun, wave 100% needs 1 more signature: shoal rollout approve",
        ),
    ],
    ids=["unjudged", "judged", "taken back", "unsigned"],
)
def test_a_status_says_what_holds_and_what_held_once(order, entries, said):
    assert said in "\n".join(status.said(rollouts.rollout(order, *entries)))
