from datetime import UTC, datetime, timedelta

import pytest

from agent.wire import codec, topics
from agent.wire.commands import Answer, Command, Frame, FrameSent, Log, Paced, Refusal
from agent.wire.errors import LinkDown, Unavailable
from agent.wire.reports import Presence, Status
from agent.wire.topics import ANSWER, COMMAND, FRAME, STATUS, DeviceId, sha256
from deploy.flows import ask as flow
from deploy.flows.ask import Answered, Silent, ask
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE = topics.root("shoal/home"), DeviceId("pi")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
JPEG = b"\xff\xd8"
COMMANDED = Command(
    id="ab" * 16, device=DEVICE, issued_at=NOW, expires_at=NOW + timedelta(minutes=1), action=Log(lines=1)
)
FOR_A_FRAME = Command(
    id="cd" * 16,
    device=DEVICE,
    pipeline="door",
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=1),
    action=Frame(),
)


@pytest.fixture
def broker():
    return MemoryBroker()


@pytest.fixture
def link(broker):
    made = MemoryLink(broker)
    made.open(lambda _: None)
    return made


def answering(broker, *messages):
    """A device that says these as soon as it is asked: pairs of a channel and a content."""
    device = MemoryLink(broker)
    device.open(lambda _: None)

    def say(_):
        for channel, content in messages:
            broker.publish(ROOT.device(channel, DEVICE, "door" if channel is FRAME else "main"), content)

    device.subscribe([ROOT.device(COMMAND, DEVICE)], COMMAND.qos, say)


def answer(to, **fields):
    return codec.encode(Answer(id=to.id, at=NOW, **fields))


def sent_frame(content=JPEG):
    return FrameSent(digest=sha256(content), length=2, height_px=1, width_px=1, sequence=1, captured_at=NOW)


def test_the_answer_to_this_very_command_is_taken(broker, link):
    other = answer(FOR_A_FRAME, result=Paced(paused=True))
    answering(
        broker,
        (ANSWER, b"garbage"),
        (ANSWER, other),
        (ANSWER, answer(COMMANDED, refused=Refusal.REPLAYED)),
        (ANSWER, answer(COMMANDED, refused=Refusal.BUSY)),
    )
    heard = ask(link, ROOT, COMMANDED, b"envelope", 5.0)
    assert heard == Answered(Answer(id=COMMANDED.id, at=NOW, refused=Refusal.BUSY))
    assert [o.payload for o in broker.published if o.topic == ROOT.device(COMMAND, DEVICE)] == [b"envelope"]
    assert link.filters == ()


@pytest.mark.parametrize("frame_first", [True, False])
def test_a_frame_is_the_one_that_the_answer_names_whichever_comes_first(broker, link, frame_first):
    told = [(FRAME, JPEG), (ANSWER, answer(FOR_A_FRAME, result=sent_frame()))]
    answering(broker, (FRAME, b"of somebody else"), *(told if frame_first else reversed(told)))
    assert ask(link, ROOT, FOR_A_FRAME, b"", 5.0).jpeg == JPEG


def test_a_frame_that_does_not_come_leaves_its_answer(broker, link, monkeypatch):
    monkeypatch.setattr(flow, "FRAME_S", 0.05)
    answering(broker, (ANSWER, answer(FOR_A_FRAME, result=sent_frame(b"lost"))), (FRAME, JPEG))
    heard = ask(link, ROOT, FOR_A_FRAME, b"", 5.0)
    assert heard.jpeg is None
    assert heard.answer.result == sent_frame(b"lost")


@pytest.mark.parametrize(
    ("status", "wait_s"), [(None, 0.05), (Presence.ONLINE, 0.05), (Presence.OFFLINE, 60.0)]
)
def test_silence_comes_with_the_last_word_of_the_device(broker, link, status, wait_s, monkeypatch):
    monkeypatch.setattr(flow, "OFFLINE_S", 0.05)
    if status is not None:
        content = codec.encode(Status(state=status, session="s"))
        broker.publish(ROOT.device(STATUS, DEVICE), content, retain=True)
    heard = ask(link, ROOT, COMMANDED, b"", wait_s)
    assert isinstance(heard, Silent)
    assert heard.status is status
    assert heard.waited_s < 10


def test_a_broker_that_does_not_take_the_command_is_no_silent_device(link, monkeypatch):
    monkeypatch.setattr(flow, "ACKNOWLEDGED_S", 0.05)
    link.acknowledges = False
    with pytest.raises(Unavailable, match="did not take the command"):
        ask(link, ROOT, COMMANDED, b"", 5.0)
    link.drop()
    with pytest.raises(LinkDown):
        ask(link, ROOT, COMMANDED, b"", 5.0)
