"""The pictures behind judgements fill no disk, and none is let go that somebody goes on from."""

import pytest
from msgspec.structs import replace

from agent.wire.topics import sha256
from deploy.core.rollouts import replaying
from deploy.core.rollouts.condensed import condense
from deploy.core.rollouts.letting_go import outdated
from deploy.core.rollouts.replaying import Agreement
from deploy.core.rollouts.state import Rollout
from deploy.core.rollouts.words import Ended, Judged, Judgement, Outcome, Started, Verdict
from tests.fakes.rollouts import lines, order, picture, plan, seen, steered

HOLD = Judgement(verdict=Verdict.HOLD, findings=())


def digest(name):
    return sha256(name.encode())


def started(rollout):
    return (0, Started(order=replace(order("100%"), rollout=rollout)))


def judged(rollout, content):
    return (1, Judged(rollout=rollout, wave=0, judgement=HOLD, picture=digest(content)))


def ended(rollout):
    return (2, Ended(rollout=rollout, outcome=Outcome.COMPLETED))


def over(rollout, *contents):
    return started(rollout), *(judged(rollout, content) for content in contents), ended(rollout)


GOING = (started("going"), judged("going", "g"))
LATER = over("later", "newest")


@pytest.mark.parametrize(
    ("happened", "room", "gone"),
    [
        ((*over("a", "1", "2"), *GOING), 3, []),
        ((*over("a", "1", "2"), *GOING), 2, ["1"]),
        ((*over("a", "1"), *over("b", "2", "3"), *LATER), 2, ["1", "2"]),
        ((*over("a", "1"), *GOING), 0, ["1"]),
        ((*over("a", "1", "2"),), 0, ["1"]),
        ((*over("a", "g", "1"), *GOING), 1, ["1"]),
        ((*over("a", "1", "1", "2"), *LATER), 1, ["1", "2"]),
        ((), 0, []),
    ],
    ids=[
        "there is room",
        "the oldest goes first",
        "rollouts in their order",
        "one under way keeps its own",
        "the newest of all stays",
        "what two rollouts name stays while one needs it",
        "one that was judged twice is counted once",
        "nothing was judged",
    ],
)
def test_only_pictures_of_rollouts_that_ended_go_and_the_oldest_first(happened, room, gone):
    of = lines(*happened)
    sizes = {line.entry.picture: 10 for line in of if isinstance(line.entry, Judged)}
    assert outdated(of, sizes, room * 10) == tuple(map(digest, gone))


def test_what_is_gone_already_counts_for_nothing():
    of = lines(*over("a", "1", "2"), *LATER)
    sizes = {digest("2"): 10, digest("newest"): 10}
    assert outdated(of, sizes, 20) == ()
    assert outdated(of, sizes, 10) == (digest("2"),)


def test_a_judgement_without_its_picture_is_told_as_unknown_and_as_no_contradiction():
    of = picture(seen("pi"))
    content = condense(of, Rollout(order("100%"), of.at))
    entry = Judged(rollout="birds-2", wave=0, judgement=HOLD, picture=sha256(content))
    written = lines((0, Started(order=order("100%"))), (0, steered(plan())), (1, entry))
    replayed = list(replaying.replay(written, {}.get))
    assert [each.agreement for each in replayed] == [Agreement.UNKNOWN, Agreement.UNKNOWN]
    assert replayed[-1].words == "its picture of the fleet is not there any more"
