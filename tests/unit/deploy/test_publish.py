import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from agent.ports.link import Message, Outgoing
from agent.wire.documents import Artifact, Chunk
from agent.wire.errors import LinkDown, Malformed, Unavailable
from agent.wire.topics import Root, sha256
from deploy.core.release.chunking import Parcel
from deploy.flows.publish import IN_FLIGHT_MAX, WINDOW, Patience, publish
from deploy.ports.repository import Metadata, Publication, Target
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT = Root("shoal/test")
HASTE = Patience(settle_s=0.01, silence_s=0.05, acknowledge_s=0.05, reconnect_s=0.01)


def parcel_of(*pieces: bytes) -> Parcel:
    content = b"".join(pieces)
    chunks = tuple(Chunk(sha256(piece), len(piece)) for piece in pieces)
    return Parcel(Artifact(digest=sha256(content), length=len(content), chunks=chunks), content)


PIECES = tuple(random.Random(3).randbytes(200 + n) for n in range(40))
FILE = parcel_of(*PIECES)
SHARING = parcel_of(PIECES[0], b"head", PIECES[1])
CHUNK_TOPICS = [ROOT.chunk(sha256(piece)) for piece in (*PIECES, b"head")]
PUBLICATION = Publication(
    targets=(Target(sha256(b"manifest"), b"manifest"), Target(sha256(b"plan"), b"plan")),
    metadata=(Metadata("1.root", b"root"), Metadata("4.snapshot", b"snapshot"), Metadata("4.targets", b"t")),
    timestamp=b"timestamp",
    index=b"index",
)
STAGES = [
    set(CHUNK_TOPICS),
    {ROOT.target(target.digest) for target in PUBLICATION.targets},
    {ROOT.meta(file.name) for file in PUBLICATION.metadata},
    {ROOT.meta("timestamp")},
    {ROOT.index()},
]


class WatchedLink(MemoryLink):
    """Notes how many topics are asked for at once, and when, among the publishes."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.most = 0
        self.log: list[tuple[str, str]] = []

    def publish(self, outgoing: Outgoing):
        self.log.append(("publish", outgoing.topic))
        return super().publish(outgoing)

    def subscribe(self, topics, qos, sink) -> None:
        self.log += [("read", topic) for topic in topics]
        super().subscribe(topics, qos, sink)
        self.most = max(self.most, len(self.filters))


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def link(broker: MemoryBroker) -> WatchedLink:
    link = WatchedLink(broker)
    link.open(lambda _: None)
    return link


def ship(link: MemoryLink, on_progress: Callable[[int, int], None] = lambda *_: None) -> None:
    publish(link, ROOT, PUBLICATION, [FILE, SHARING], on_progress, patience=HASTE)


def test_everything_stands_retained_under_its_topic(broker: MemoryBroker, link: WatchedLink) -> None:
    ship(link)
    expected = dict(zip(CHUNK_TOPICS, (*PIECES, b"head"), strict=True))
    expected |= {ROOT.target(target.digest): target.content for target in PUBLICATION.targets}
    expected |= {ROOT.meta(file.name): file.content for file in PUBLICATION.metadata}
    expected |= {ROOT.meta("timestamp"): b"timestamp", ROOT.index(): b"index"}
    assert broker.retained == expected
    assert link.filters == ()


def test_a_stage_begins_when_the_one_before_has_been_read_back(link: WatchedLink) -> None:
    ship(link)
    for before, after in pairwise(STAGES):
        begins = min(at for at, (act, topic) in enumerate(link.log) if act == "publish" and topic in after)
        read = {topic for act, topic in link.log[:begins] if act == "read"}
        assert before <= read
        assert not {topic for act, topic in link.log[begins:] if act == "publish"} & before


def test_chunks_that_stand_already_are_left_alone(broker: MemoryBroker, link: WatchedLink) -> None:
    ship(link)
    before = len(broker.published)
    ship(link)
    again = [outgoing.topic for outgoing in broker.published[before:] if outgoing.topic in STAGES[0]]
    assert again == [ROOT.chunk(sha256(b"head"))]


def test_a_chunk_topic_that_keeps_something_else_is_overwritten(
    broker: MemoryBroker, link: WatchedLink
) -> None:
    broker.publish(CHUNK_TOPICS[4], b"junk", retain=True)
    ship(link)
    assert broker.retained[CHUNK_TOPICS[4]] == PIECES[4]


def test_reads_are_of_a_few_exact_topics(link: WatchedLink) -> None:
    ship(link)
    assert link.most == WINDOW + 1


@pytest.mark.parametrize("stage", range(5))
def test_what_the_broker_lost_is_published_again(broker: MemoryBroker, link: WatchedLink, stage: int) -> None:
    topic = min(STAGES[stage])
    broker.lose(topic, times=2)
    ship(link)
    assert topic in broker.retained


@pytest.mark.parametrize("stage", range(5))
def test_what_cannot_be_read_back_stops_everything_after_it(
    broker: MemoryBroker, link: WatchedLink, stage: int
) -> None:
    topic = min(STAGES[stage])
    broker.forget(topic)
    with pytest.raises(Unavailable, match=topic):
        ship(link)
    attempts = [outgoing for outgoing in broker.published if outgoing.topic == topic]
    assert len(attempts) == 3
    later = set().union(*STAGES[stage + 1 :])
    assert not later & broker.retained.keys()
    assert link.filters == ()


def test_a_broker_that_keeps_nothing_is_found_out_soon(broker: MemoryBroker, link: WatchedLink) -> None:
    broker.forget("#")
    with pytest.raises(Unavailable, match="could not be read back"):
        ship(link)


def test_a_file_that_is_not_the_artifact_is_not_published(broker: MemoryBroker, link: WatchedLink) -> None:
    changed = replace(FILE, content=FILE.content[:-1] + b"!")
    with pytest.raises(Malformed, match="was changed after it was released"):
        publish(link, ROOT, PUBLICATION, [changed], lambda *_: None, patience=HASTE)
    assert broker.published == []


def test_progress_counts_the_bytes_that_were_read_back(link: WatchedLink) -> None:
    seen: list[tuple[int, int]] = []
    ship(link, lambda done, total: seen.append((done, total)))
    total = sum(map(len, (*PIECES, b"head", b"manifest", b"plan", b"root", b"snapshot", b"t"))) + 14
    assert seen[0] == (0, total)
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


def test_a_link_that_drops_and_comes_back_is_waited_for(broker: MemoryBroker) -> None:
    class Dropping(MemoryLink):
        def publish(self, outgoing: Outgoing):
            if len(broker.published) == 10 and len(self.states) == 1:
                self.drop()
                threading.Timer(0.02, self.restore).start()
            return super().publish(outgoing)

    link = Dropping(broker)
    link.open(lambda _: None)
    ship(link)
    assert ROOT.index() in broker.retained


def test_a_link_that_stays_down_is_said_to_be_down(link: WatchedLink) -> None:
    link.drop()
    with pytest.raises(LinkDown, match="there is no connection"):
        ship(link)


def test_a_broker_that_acknowledges_nothing_is_said_to_be_silent(
    broker: MemoryBroker, link: WatchedLink
) -> None:
    broker.forget("#")
    link.acknowledges = False
    with pytest.raises(LinkDown, match=r"acknowledged nothing for 0\.05 s"):
        ship(link)
    link.drop()


def test_only_so_many_publishes_are_unacknowledged_at_a_time(broker: MemoryBroker) -> None:
    class Slow(WatchedLink):
        """Acknowledges the oldest publish only when the next one would be too many."""

        out: list = []  # noqa: RUF012 - one link a test
        most_out = 0

        def publish(self, outgoing: Outgoing):
            future = super().publish(outgoing)
            waiting = _Later(future)
            self.out.append(waiting)
            self.most_out = max(self.most_out, sum(not w.asked for w in self.out))
            return waiting

    link = Slow(broker)
    link.open(lambda _: None)
    ship(link)
    assert link.most_out == IN_FLIGHT_MAX


class _Later:
    def __init__(self, future) -> None:
        self.future, self.asked = future, False

    def result(self, timeout_s: float) -> None:
        self.asked = True
        return self.future.result(timeout_s)


def test_an_old_timestamp_that_comes_first_does_not_mislead(broker: MemoryBroker) -> None:
    class Stuttering(MemoryLink):
        """Some brokers deliver the message that stood before, then the one that stands."""

        def receive(self, message: Message) -> None:
            super().receive(Message(message.topic, b"old", retained=True))
            super().receive(message)

    link = Stuttering(broker)
    link.open(lambda _: None)
    ship(link)
    assert len([o for o in broker.published if o.topic == ROOT.meta("timestamp")]) == 1


def test_a_broker_that_answers_out_of_order_is_given_time(broker: MemoryBroker, link: WatchedLink) -> None:
    class Backwards(MemoryLink):
        """The last answer comes first, the others a moment later."""

        def subscribe(self, topics, qos, sink) -> None:
            super().subscribe(topics[-1:], qos, sink)
            threading.Timer(0.02, super().subscribe, (topics[:-1], qos, sink)).start()

    ship(link)
    backwards = Backwards(broker)
    backwards.open(lambda _: None)
    before = len(broker.published)
    patience = Patience(settle_s=2.0, silence_s=2.0)
    publish(backwards, ROOT, PUBLICATION, [FILE], lambda *_: None, patience=patience)
    assert len([o for o in broker.published[before:] if o.topic in STAGES[0]]) == 1


def test_a_broker_that_answers_in_order_is_waited_for_once(link: WatchedLink) -> None:
    slowly = Patience(settle_s=1.0, silence_s=5.0)
    began = time.monotonic()
    publish(link, ROOT, PUBLICATION, [FILE], lambda *_: None, patience=slowly)
    assert len(PIECES) / WINDOW * slowly.settle_s >= 5.0
    assert time.monotonic() - began < 4.0
