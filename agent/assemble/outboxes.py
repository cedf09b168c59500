"""The outboxes put together: what is kept, in how much room, and how late it reaches the card."""

from pathlib import Path
from typing import Final

from agent.adapters.outbox_files import FileOutbox
from agent.config import Settings
from agent.loops.connection import Connection
from agent.loops.telling.drain import Drain, Lane
from agent.loops.telling.post import Mail
from agent.ports.clock import Clock
from agent.ports.link import Link, Outgoing
from agent.wire import codec, topics
from agent.wire.reports import Event
from agent.wire.topics import DeviceId

MEBIBYTE: Final = 1_048_576
EVENTS_FLUSH_S: Final = 0.2
PREDICTIONS_FLUSH_S: Final = 10.0
"""So a card sees one write in ten seconds, where the broker is away; and none where it is there."""
EVENTS_SHARE: Final = 4
"""Predictions leave a quarter of the room to events, so that a flood of them drops no event."""


def open_outboxes(settings: Settings, link: Link, connection: Connection, clock: Clock) -> Mail:
    """Events are kept always; predictions that wait from a time when they were kept are still delivered.

    Raises:
        StoreFailed: the state folder cannot be used.
    """
    folder, room_bytes = Path(settings.device.state_dir) / "outbox", settings.outbox.max_mib * MEBIBYTE
    predictions = FileOutbox(folder / "predictions", room_bytes - room_bytes // EVENTS_SHARE)
    shared = settings.outbox.predictions or predictions.depth() > 0
    events = FileOutbox(folder / "events", room_bytes // EVENTS_SHARE if shared else room_bytes)
    lanes = (
        Lane("events", events, EVENTS_FLUSH_S),
        Lane("predictions", predictions, PREDICTIONS_FLUSH_S),
    )
    topic = topics.root(settings.broker.root).device(topics.EVENT, DeviceId(settings.device.id))

    def notice(lane: str, count: int, total: int) -> Outgoing:
        event = Event(
            at=clock.now(), name="outbox.dropped", fields={"lane": lane, "count": count, "total": total}
        )
        return Outgoing(topic, codec.encode(event), topics.EVENT.qos, topics.EVENT.retain)

    drain = Drain(link, connection, lanes, settings.outbox.drain_per_s, notice)
    kept = {topics.EVENT: lanes[0]} | ({topics.PREDICTION: lanes[1]} if settings.outbox.predictions else {})
    return Mail(drain, kept)
