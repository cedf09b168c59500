from datetime import UTC, datetime, timedelta

import pytest

from agent.wire.documents import Plan, ReleaseRef
from agent.wire.topics import DeviceId, Digest
from deploy.core import history
from deploy.core.rollouts import words
from deploy.core.rollouts.words import (
    Finding,
    Judged,
    Judgement,
    Line,
    Order,
    Outcome,
    Started,
    Tally,
    Verdict,
)

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CAM, DOOR = DeviceId("cam"), DeviceId("door")
REF = ReleaseRef(name="birds", version="2", manifest="2" * 64)
NOBODY = Digest("0" * 64)


def order(rollout="r", stream="main"):
    return Order(rollout=rollout, stream=stream, release=REF, files=(), waves=("1", "100%"), salt="s")


def judged(rollout="r", verdict=Verdict.HOLD, **tally):
    finding = Finding(name="failed", says=verdict, words="1 of 2 devices failed")
    judgement = Judgement(verdict=verdict, findings=(finding,), tally=Tally(**tally))
    return Judged(rollout=rollout, wave=0, judgement=judgement, picture=NOBODY)


def lines(*entries):
    return [
        Line(number=number, at=NOW + timedelta(minutes=number), entry=entry, chain=NOBODY)
        for number, entry in enumerate(entries, 1)
    ]


SENTENCES = [
    (Started(order=order(), by="ada"), "birds@2 to stream main in waves 1, 100%, with nothing to go back to"),
    (
        words.Steered(rollout="r", plan=Plan(stream="main", serial=4), wave=1, why="wave 100%"),
        "plan 4: wave 2 of 2 (100%): wave 100%",
    ),
    (
        words.Steered(rollout="r", plan=Plan(stream="main", serial=5), wave=-1, why="bad"),
        "plan 5: taken back: bad",
    ),
    (
        judged(healthy=(CAM,), failed=(DOOR,)),
        "wave 1 of 2 (1): hold: 1 of 2 devices failed (1 healthy, 1 failed)",
    ),
    (words.Paused(rollout="r", why="lunch"), "paused: lunch"),
    (words.Resumed(rollout="r", why=""), "resumed"),
    (
        words.Forced(rollout="r", wave=0, why="known"),
        "the gate after wave 1 of 2 (1) is passed by force: known",
    ),
    (
        words.Approved(rollout="r", wave=1, key="k" * 20, signature=""),
        "wave 2 of 2 (100%) was approved with key kkkkkkkkkkkk",
    ),
    (words.Aborted(rollout="r", why="slow"), "aborted and revoked: slow"),
    (words.Aborted(rollout="r", why="slow", revoke=False), "aborted: slow"),
    (
        words.ClassWithdrawn(rollout="r", hardware="edgetpu", why="hot"),
        "hardware class edgetpu is taken back: hot",
    ),
    (words.Ended(rollout="r", outcome=Outcome.COMPLETED), "ended: completed"),
    (
        words.Reasserted(timestamp=9, found=7, why="it restarted"),
        "the broker had timestamp 7, and was brought to 9: it restarted",
    ),
    (words.Renewed(timestamp=10), "timestamp 10 was signed"),
    (words.TookOver(controller="desk-1", why="it began"), "controller desk-1 takes over: it began"),
    (
        words.Enrolled(device=CAM, tags=("line-3",), sealed=True),
        "cam was enrolled with line-3, sealing what it tells",
    ),
    (words.Expelled(device=CAM, why="stolen"), "cam was expelled: stolen"),
]


@pytest.mark.parametrize(("entry", "said"), SENTENCES, ids=[type(entry).__name__ for entry, _ in SENTENCES])
def test_each_kind_of_decision_has_a_sentence(entry, said):
    found = list(history.history(lines(Started(order=order()), entry)))[-1]
    assert (found.number, found.what) == (2, said)


def test_a_line_says_when_by_whom_and_of_which_rollout():
    (told,) = history.history(lines(Started(order=order(), by="ada")))
    assert (told.at, told.by, told.kind, told.rollout) == (NOW + timedelta(minutes=1), "ada", "started", "r")


def test_a_stream_has_its_own_rollouts_and_what_concerns_all():
    every = lines(
        Started(order=order()), Started(order=order("q", "yard")), judged("q"), words.Renewed(timestamp=3)
    )
    assert [told.number for told in history.history(every, stream="yard")] == [2, 3, 4]


def test_a_device_has_only_what_changed_how_it_stands():
    every = lines(
        words.Enrolled(device=CAM),
        words.Enrolled(device=DOOR),
        Started(order=order()),
        judged(pending=(CAM, DOOR)),
        judged(pending=(CAM,), failed=(DOOR,)),
        judged(verdict=Verdict.PROMOTE, healthy=(CAM,), failed=(DOOR,)),
        words.Expelled(device=CAM, why="lost"),
    )
    assert [told.what for told in history.history(every, device=CAM)] == [
        "cam was enrolled",
        "it is pending after wave 1 of 2 (1)",
        "it is healthy after wave 1 of 2 (1)",
        "cam was expelled: lost",
    ]


def test_a_failure_is_as_old_as_the_first_judgement_that_counts_it():
    every = lines(
        judged(failed=(DOOR,)),
        judged(failed=(CAM, DOOR)),
        judged("q"),
        judged(failed=(CAM,), healthy=(DOOR,)),
    )
    assert history.first_failed(every, "r") == {CAM: NOW + timedelta(minutes=2)}


def test_a_rollouts_beginning_tells_what_was_known_of_its_release():
    found = history.history(lines(Started(order=order())), about=lambda ref: f"{ref.name} is 90 % right")
    (told,) = found
    assert told.what.endswith(f"; {order().release.name} is 90 % right")
