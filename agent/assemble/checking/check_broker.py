"""A short visit to the broker, under a client id of its own, so that a running agent is not thrown out."""

import contextlib
import secrets
from concurrent.futures import TimeoutError as NoAcknowledgement
from dataclasses import replace
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.core.findings.broker import Refused, Silent, Visit, Visited
from agent.ports.link import Down, LinkState, Message, Outgoing
from agent.wire.errors import LinkDown
from agent.wire.topics import CHECK, DeviceId, Root

CONNECT_MAX_S: Final = 16.0
"""TCP, TLS and the broker's word have 5 s each."""
ANSWER_MAX_S: Final = 5.0


def visit(settings: LinkSettings, root: Root, device: DeviceId) -> Visit:
    """Connect, publish and hear it, lay a retained message down, read it again, and take it away."""
    link = MqttLink(replace(settings, client_id=f"{settings.client_id}-check"))
    states: SimpleQueue[LinkState] = SimpleQueue()
    began = monotonic()
    link.open(states.put)
    try:
        state = states.get(timeout=CONNECT_MAX_S)
        if isinstance(state, Down):
            return Refused(state.refusal, state.reason)
        return _look_around(link, root, device, (monotonic() - began) * 1000)
    except Empty:
        return Silent(CONNECT_MAX_S)
    finally:
        link.close()


def _look_around(link: MqttLink, root: Root, device: DeviceId, connect_ms: float) -> Visited:
    topic, mark = root.device(CHECK, device), secrets.token_hex(8).encode()
    echoes: SimpleQueue[Message] = SimpleQueue()
    link.subscribe([topic], CHECK.qos, echoes.put)
    round_trip_ms = _acknowledged_ms(link, topic, mark, retain=False)
    echoed = round_trip_ms is not None and _heard(echoes, mark)
    found: dict[str, bytes] = {}
    if echoed and _acknowledged_ms(link, topic, mark, retain=CHECK.retain) is not None:
        found = _retained(link, {topic, root.index()})
        _acknowledged_ms(link, topic, b"", retain=CHECK.retain)
    return Visited(
        round_trip_ms,
        echoed=echoed,
        returned=found.get(topic) == mark,
        published=root.index() in found,
        connect_ms=round(connect_ms, 1),
    )


def _acknowledged_ms(link: MqttLink, topic: str, payload: bytes, *, retain: bool) -> float | None:
    """From a publish to its acknowledgement; None where none came."""
    began = monotonic()
    with contextlib.suppress(LinkDown, NoAcknowledgement):
        link.publish(Outgoing(topic, payload, CHECK.qos, retain)).result(ANSWER_MAX_S)
        return round((monotonic() - began) * 1000, 1)
    return None


def _heard(messages: SimpleQueue[Message], mark: bytes) -> bool:
    """Whether it comes within the time."""
    deadline = monotonic() + ANSWER_MAX_S
    with contextlib.suppress(Empty):
        while messages.get(timeout=max(0.0, deadline - monotonic())).payload != mark:
            pass
        return True
    return False


def _retained(link: MqttLink, wanted: set[str]) -> dict[str, bytes]:
    """Those of the topics that hold something. What is retained comes at once; the rest never does."""
    messages: SimpleQueue[Message] = SimpleQueue()
    link.subscribe(sorted(wanted), CHECK.qos, messages.put)
    found: dict[str, bytes] = {}
    deadline = monotonic() + ANSWER_MAX_S
    with contextlib.suppress(Empty):
        while found.keys() != wanted:
            # The first to come tells that the others are on their way, or are not there.
            left_s = min(deadline - monotonic(), 1.0 if found else ANSWER_MAX_S)
            message = messages.get(timeout=max(0.0, left_s))
            if message.retained:
                found[message.topic] = message.payload
    return found
