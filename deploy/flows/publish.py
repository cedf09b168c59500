"""Brings a publication onto the broker, in the order in which a device may follow it.

Chunks first, then targets, versioned metadata, the timestamp, and the index last. A stage begins when the
one before it has been read back whole: brokers acknowledge what they then lose (one kept 12 to 18 of 55
retained messages whose publisher left at once), and a device must never be told of what it cannot have.

Everything is read by exact topic, a few at a time: a broker silently cuts a read of many retained messages
off where its queue for a client is full.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Condition
from typing import Final

from agent.ports.link import Link, Message, Outgoing
from agent.wire.documents import SLICE_BYTES, Chunk
from agent.wire.errors import LinkDown, Malformed, Unavailable
from agent.wire.topics import CHUNK, INDEX, META, SLICE, TARGET, TIMESTAMP_NAME, Channel, Digest, Root, sha256
from deploy.core.release.chunking import Parcel
from deploy.ports.repository import Publication

log = logging.getLogger(__name__)

WINDOW: Final = 8
IN_FLIGHT_MAX: Final = 16
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Patience:
    settle_s: float = 0.3
    """For a retained message to come after one that was asked for later."""
    silence_s: float = 5.0
    """For any retained message to come."""
    acknowledge_s: float = 30.0
    reconnect_s: float = 2.0


_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class _Document:
    channel: Channel
    topic: str
    content: bytes
    words: str


def publish(
    link: Link,
    root: Root,
    publication: Publication,
    parcels: Iterable[Parcel],
    on_progress: Callable[[int, int], None],
    *,
    patience: Patience = _PATIENCE,
) -> None:
    """Publish what the broker lacks, and return when everything has been read back from it.

    Blocks for as long as that takes. Chunks that stand there already are left alone; the rest is small
    and is published anew. A link that drops meanwhile is given the time to come back.

    Args:
        link: open.
        root: the fleet's topics.
        publication: what the repository has signed.
        parcels: every file that the publication's releases name, with its content.
        on_progress: called with the bytes that are known to stand, and the bytes in all.
        patience: how long to wait for the broker.

    Raises:
        Malformed: an artifact is not its content.
        Unavailable: something was published three times and could not be read back.
        LinkDown: the connection did not come back.
    """
    chunks = _chunks(root, parcels)
    stages = _stages(root, publication)
    total = sum(len(document.content) for stage in (chunks, *stages) for document in stage)
    shelf = _Shelf(link, lambda done: on_progress(done, total), patience)
    shelf.place(shelf.lacking(chunks))
    for stage in stages:
        shelf.place(stage)


def place(
    link: Link,
    root: Root,
    parcels: Iterable[Parcel],
    on_progress: Callable[[int, int], None],
    *,
    patience: Patience = _PATIENCE,
) -> None:
    """The files alone: they are named by their content, so they may come long before what names them.

    Raises:
        As `publish`.
    """
    chunks = _chunks(root, parcels)
    total = sum(len(chunk.content) for chunk in chunks)
    shelf = _Shelf(link, lambda done: on_progress(done, total), patience)
    shelf.place(shelf.lacking(chunks))


def _chunks(root: Root, parcels: Iterable[Parcel]) -> tuple[_Document, ...]:
    """Each chunk once, however many artifacts share it, and the slices of it."""
    chunks: dict[Digest, tuple[_Document, ...]] = {}
    for parcel in parcels:
        artifact = parcel.artifact
        for number, (chunk, piece) in enumerate(parcel.pieces(), 1):
            if sha256(piece) != chunk.published:
                raise Malformed(
                    f"chunk {number} of artifact {artifact.digest[:12]} is not what its file holds: "
                    "the file was changed after it was released"
                )
            words = f"chunk {number} of {len(artifact.chunks)} of artifact {artifact.digest[:12]}"
            chunks[chunk.published] = (
                _Document(CHUNK, root.chunk(chunk.published), piece, words),
                *_slices(root, chunk, piece, words),
            )
    return tuple(document for documents in chunks.values() for document in documents)


def _slices(root: Root, chunk: Chunk, piece: bytes, words: str) -> Iterator[_Document]:
    for number in range(chunk.slices):
        part = piece[number * SLICE_BYTES : (number + 1) * SLICE_BYTES]
        yield _Document(SLICE, root.slice(chunk.published, number), part, f"slice {number} of {words}")


def _stages(root: Root, publication: Publication) -> tuple[tuple[_Document, ...], ...]:
    targets = tuple(
        _Document(TARGET, root.target(target.digest), target.content, f"target {target.digest[:12]}")
        for target in publication.targets
    )
    metadata = tuple(
        _Document(META, root.meta(file.name), file.content, f"metadata {file.name}")
        for file in publication.metadata
    )
    timestamp = _Document(META, root.meta(TIMESTAMP_NAME), publication.timestamp, "the signed timestamp")
    index = _Document(INDEX, root.index(), publication.index, "the index of newest versions")
    return targets, metadata, (timestamp,), (index,)


class _Shelf:
    """The retained messages of a broker, as far as they concern us."""

    def __init__(self, link: Link, on_stand: Callable[[int], None], patience: Patience) -> None:
        self._link, self._on_stand, self._patience = link, on_stand, patience
        self._settle_s = patience.settle_s
        self._standing_bytes = 0
        on_stand(0)

    def lacking(self, documents: Sequence[_Document]) -> tuple[_Document, ...]:
        """Those that do not stand on the broker, or not with this content.

        MQTT cannot say that a topic is empty. So the smallest document is placed first, and asked for
        after each few of the others: when it has come and they have not, they are taken as lacking.
        Brokers answer in the order of the request, though nothing obliges them to; so the first time they
        are given a while longer, and each time if that showed disorder. A mistake costs a needless publish.
        """
        if not documents:
            return ()
        last = min(documents, key=lambda document: len(document.content))
        self.place((last,))
        lacking: list[_Document] = []
        for few in _windows([document for document in documents if document is not last]):
            lacking += self._read(few, last)
        return tuple(lacking)

    def place(self, documents: Sequence[_Document]) -> None:
        """Publish these and read them back, those that got lost again.

        Raises:
            Unavailable, LinkDown: as `publish`.
        """
        lacking = tuple(documents)
        fault: LinkDown | None = None
        for attempt in range(ATTEMPTS):
            if not lacking:
                return
            if attempt:
                log.warning("publish.again", extra={"documents": len(lacking), "attempt": attempt + 1})
            fault = self._send(lacking)
            if fault is not None:
                time.sleep(self._patience.reconnect_s)
            lacking = self._read_all(lacking)
        if lacking and fault is not None:
            raise fault
        if lacking:
            raise Unavailable(
                f"{lacking[0].words} ({lacking[0].topic}) and {len(lacking) - 1} more were published "
                f"{ATTEMPTS} times and could not be read back: the broker loses retained messages, limits "
                "their size or number, or does not let this user read and write there"
            )

    def _send(self, documents: Sequence[_Document]) -> LinkDown | None:
        """Publish, a bounded number at a time, until one cannot be handed over."""
        try:
            for future in _bounded(self._hand_over(document) for document in documents):
                future.result(self._patience.acknowledge_s)
        except LinkDown as fault:
            return fault
        except TimeoutError:
            return LinkDown(
                f"the broker acknowledged nothing for {self._patience.acknowledge_s:g} s: "
                "look whether it is alive, and how large a message it accepts"
            )
        return None

    def _hand_over(self, document: _Document) -> Future[None]:
        channel = document.channel
        return self._link.publish(Outgoing(document.topic, document.content, channel.qos, channel.retain))

    def _read_all(self, documents: Sequence[_Document]) -> tuple[_Document, ...]:
        """Those that cannot be read back. A silent window speaks for the ones after it."""
        lacking: list[_Document] = []
        silent = False
        for few in _windows(documents):
            lost = few if silent else self._read(few, None)
            silent = len(lost) == len(few)
            lacking += lost
        return tuple(lacking)

    def _read(self, few: Sequence[_Document], last: _Document | None) -> tuple[_Document, ...]:
        """Those of a few that do not stand; all come before `last`, if that is given."""
        asked = few if last is None else (*few, last)
        reading = _Reading(asked)
        topics = [document.topic for document in asked]
        self._link.subscribe(topics, CHUNK.qos, reading.take)
        try:
            lacking = reading.wait(self._patience.silence_s, self._settle_s, last)
        finally:
            self._link.unsubscribe(topics)
        if last is not None and lacking and not reading.disordered:
            self._settle_s = 0.0
        self._standing_bytes += sum(len(document.content) for document in few if document not in lacking)
        self._on_stand(self._standing_bytes)
        return tuple(document for document in few if document in lacking)


def _windows(documents: Sequence[_Document]) -> Iterator[Sequence[_Document]]:
    return (documents[start : start + WINDOW] for start in range(0, len(documents), WINDOW))


def _bounded(futures: Iterable[Future[None]]) -> Iterator[Future[None]]:
    """The futures in their order, the next one made only when fewer than IN_FLIGHT_MAX are out."""
    pending: deque[Future[None]] = deque()
    for future in futures:
        pending.append(future)
        if len(pending) == IN_FLIGHT_MAX:
            yield pending.popleft()
    yield from pending


class _Reading:
    """What came of one request. `take` runs on the link's thread."""

    def __init__(self, asked: Sequence[_Document]) -> None:
        self._lacking = {document.topic: document for document in asked}
        self._heard_at = time.monotonic()
        self._changed = Condition()
        self._last_topic = asked[-1].topic
        self.disordered = False
        """Something came after what was asked for last."""

    def take(self, message: Message) -> None:
        with self._changed:
            self._heard_at = time.monotonic()
            document = self._lacking.get(message.topic)
            if document is not None and message.payload == document.content:
                self.disordered |= self._last_topic not in self._lacking
                del self._lacking[message.topic]
            self._changed.notify()

    def wait(self, silence_s: float, settle_s: float, last: _Document | None) -> tuple[_Document, ...]:
        """What has not come with the right content when all has, or nothing has for too long."""
        with self._changed:
            while self._lacking:
                closing = last is not None and last.topic not in self._lacking
                left_s = settle_s if closing else silence_s
                left_s -= time.monotonic() - self._heard_at
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            return tuple(self._lacking.values())
