"""What the page offers to be ordered is what an order would not be refused for."""

from functools import partial

import pytest

from deploy.core.devices import outlook
from deploy.core.page import steering
from deploy.core.page.steering import Beside
from deploy.core.refusal import Refused
from deploy.core.rollouts import approvals, orders, waves
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.orders import Subject
from deploy.core.rollouts.state import Rollout, fold
from deploy.core.rollouts.words import (
    Aborted,
    Approved,
    Ended,
    Forced,
    Judged,
    Judgement,
    Outcome,
    Paused,
    Resumed,
    Started,
    Steered,
    Tally,
    Verdict,
)
from tests.fakes.rollouts import BEGUN, after, healthy, lines, order, picture, seen

NAME, ANN = "birds-2", Person("ann", "because")
FLEET = picture(*(healthy(f"pi-{number}") for number in range(4)), seen("pi-9"))
ORDER = order("1", "100%", approve=("100%",))
PLAIN = order("1", "100%")
VERBS = {
    "pause": orders.pause,
    "resume": orders.resume,
    "promote": orders.promote,
    "force": orders.force,
    "revert": orders.revert,
    "abort": orders.abort,
}


def first(of_order):
    return waves.plan(Rollout(of_order, BEGUN), 0, FLEET, None)


def judged(verdict):
    return Judged(
        rollout=NAME,
        wave=0,
        judgement=Judgement(verdict=verdict, findings=(), tally=Tally(healthy=("pi-0",))),
        picture="c" * 64,
    )


def begun(of_order, *entries):
    steered = Steered(rollout=NAME, plan=first(of_order), wave=0, why="")
    return (0, Started(by="olga", order=of_order)), (0, steered), *((60, entry) for entry in entries)


PAUSED, RESUMED = Paused(rollout=NAME, why=""), Resumed(rollout=NAME, why="")
STATES = {
    "waits for its first signature": ((0, Started(order=order("1", "100%", approve=("1",)))),),
    "runs": begun(PLAIN),
    "may go on": begun(PLAIN, judged(Verdict.PROMOTE)),
    "is held": begun(PLAIN, judged(Verdict.HOLD)),
    "is paused": begun(PLAIN, PAUSED),
    "went on": begun(PLAIN, PAUSED, RESUMED),
    "lacks a signature": begun(ORDER, judged(Verdict.PROMOTE)),
    "is signed": begun(ORDER, Approved(rollout=NAME, wave=1, key="a" * 64, signature="b" * 128)),
    "is at its last wave": begun(order("100%"), judged(Verdict.PROMOTE)),
    "is being taken back": begun(PLAIN, Aborted(rollout=NAME, why="dogs")),
    "was taken back": begun(
        PLAIN, Aborted(rollout=NAME, why="dogs"), Ended(rollout=NAME, outcome=Outcome.REVERTED)
    ),
    "has completed": begun(order("100%"), Ended(rollout=NAME, outcome=Outcome.COMPLETED)),
    "was forced": begun(PLAIN, Forced(rollout=NAME, wave=0, why="now")),
}


def taken(act):
    try:
        act()
    except Refused:
        return False
    return True


@pytest.mark.parametrize("state", STATES)
def test_a_verb_is_offered_where_and_only_where_it_would_be_taken(state):
    fleet = fold(lines(*STATES[state]))
    subject = Subject(fleet, FLEET, NAME, None)
    able = {verb for verb, give in VERBS.items() if taken(partial(give, subject, ANN))}
    assert {*steering.possible(fleet.rollouts[NAME], newest=True)} - {"approve"} == able


@pytest.mark.parametrize("state", STATES)
def test_a_signature_is_asked_for_where_one_is_lacking_and_over_what_counts(state):
    rollout = fold(lines(*STATES[state])).rollouts[NAME]
    signing = steering.signing(rollout, ("a" * 64,))
    assert ("approve" in steering.possible(rollout, newest=True)) is (signing is not None)
    if signing is not None:
        wave = rollout.order.waves.index(signing.wave)
        assert signing.content.encode() == approvals.approval_bytes(rollout.order, wave)


@pytest.mark.parametrize(
    ("state", "short", "words"),
    [
        ("waits for its first signature", "waiting", "wave 1 needs 1 more signature"),
        ("is paused", "paused", "wave 1 of 2 (1), paused: those that have begun go on"),
        ("is being taken back", "going-back", "is being taken back (dogs)"),
        ("has completed", "completed", "completed: it became the stable release"),
        ("was taken back", "reverted", "taken back: 0 of 1 devices serve what was stable (dogs)"),
    ],
)
def test_where_it_stands_is_said_in_a_word_and_in_a_sentence(state, short, words):
    rollout = fold(lines(*STATES[state])).rollouts[NAME]
    found = outlook.outlook(rollout, FLEET, outlook.ahead(rollout, FLEET))
    told = steering.told(found, Beside(by="olga", newest=True, keys=(), history=()))
    assert (told.brief.state, told.brief.words, told.brief.by) == (short, words, "olga")
    assert [wave.label for wave in told.waves][: len(rollout.order.waves)] == [*rollout.order.waves][
        : len(told.waves)
    ]


def test_an_older_rollout_of_the_stream_is_not_taken_back():
    rollout = fold(lines(*STATES["has completed"])).rollouts[NAME]
    assert steering.possible(rollout, newest=False) == ()


def test_of_one_that_others_came_after_no_device_is_counted():
    rollout = fold(lines(*STATES["was taken back"])).rollouts[NAME]
    brief = steering.brief(outlook.past(rollout, after(60)), "olga")
    assert (brief.words, brief.exposed, brief.standings) == ("taken back (dogs)", 0, {})
