"""A broker that goes away and comes back, and a reader that hears everything said after it is back."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import LinkState, Message, Outgoing, Up
from agent.wire import codec, topics
from agent.wire.reports import Event, Prediction
from agent.wire.topics import Qos
from deploy.adapters.broker_local import LocalBroker, installed_kinds, start_broker
from tests.brokers import Inbox
from tests.fakes.chaosproxy import ChaosProxy
from tests.rig import DEVICE, Agent, Fleet


class Outage:
    """A real broker behind a line.

    After the broker is back, devices reach it over the line only when `mend` is called: a reader can
    subscribe before the first of them talks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._kind = folder, installed_kinds()[0]
        self._stack, self._broker = contextlib.ExitStack(), contextlib.ExitStack()
        self.broker: LocalBroker
        self.line: ChaosProxy

    @property
    def url(self) -> str:
        """For devices."""
        return f"mqtt://{self.line.host}:{self.line.port}"

    def cut(self) -> None:
        """Devices do not reach the broker any more."""
        self.line.refuse = True
        self.line.drop_all()

    def begin(self) -> None:
        """The broker is gone."""
        self.cut()
        self._broker.close()

    def end(self) -> None:
        """The broker is back, on its port."""
        self._broker.enter_context(start_broker(self._folder, kind=self._kind, port=self.broker.port))

    def mend(self) -> None:
        """Devices reach it again."""
        self.line.refuse = False

    def __enter__(self) -> Self:
        self.broker = self._broker.enter_context(start_broker(self._folder, kind=self._kind))
        self.line = self._stack.enter_context(ChaosProxy(self.broker.host, self.broker.port))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._broker.close()


@contextlib.contextmanager
def reading(broker: LocalBroker, *on: str) -> Iterator[Inbox[Message]]:
    """Every message on these topics that the broker accepts while the block runs, in order; all of them are
    there once it has ended.
    """
    heard: Inbox[Message] = Inbox()
    states: Inbox[LinkState] = Inbox()
    link = MqttLink(LinkSettings(broker.host, broker.port, f"reader-{time.monotonic_ns()}"))
    link.subscribe(on, Qos.AT_LEAST_ONCE, heard)
    link.open(states)
    try:
        states.wait_until(lambda seen: isinstance(seen[-1], Up))
        _settle(link)
        yield heard
        _settle(link)
    finally:
        link.close()


def _settle(link: MqttLink) -> None:
    """Until what was subscribed before stands, and what was published before has come: so has a message of
    the reader's own then.
    """
    probe = f"probe/{time.monotonic_ns()}"
    echo: Inbox[Message] = Inbox()
    link.subscribe([probe], Qos.AT_LEAST_ONCE, echo)
    link.publish(Outgoing(probe, b"", Qos.AT_LEAST_ONCE, retain=False))
    echo.wait_for(1)


def events(messages: Sequence[Message]) -> list[Event]:
    return [codec.decode(message.payload, Event) for message in messages]


def predictions(messages: Sequence[Message]) -> list[Prediction]:
    return [codec.decode(message.payload, Prediction) for message in messages]


S = TypeVar("S", Event, Prediction)


def without_repeats(heard: Sequence[S]) -> list[S]:
    """As a reader would: within a session numbers only grow; what has none is left as it is."""
    highest: dict[str, int] = {}
    fresh = []
    for said in heard:
        if said.number == 0 or said.number > highest.get(said.session, 0):
            highest[said.session] = max(said.number, highest.get(said.session, 0))
            fresh.append(said)
    return fresh


@dataclass(frozen=True, slots=True)
class Judged:
    """What a reader makes of all it heard from one device that keeps predictions too."""

    sessions: tuple[str, ...]
    names: tuple[str, ...]
    """Of the events."""
    predictions: int
    repeats: int
    missing: int
    """Numbers that none of what was heard has."""
    in_order: bool


def said_on(fleet: Fleet) -> list[str]:
    return [fleet.root.device(channel, DEVICE) for channel in (topics.EVENT, topics.PREDICTION)]


def judge(fleet: Fleet, heard: Sequence[Message]) -> Judged:
    on_event, on_prediction = said_on(fleet)
    events_heard = events([message for message in heard if message.topic == on_event])
    kept_heard = [p for p in predictions([m for m in heard if m.topic == on_prediction]) if p.number]
    told, seen = without_repeats(events_heard), without_repeats(kept_heard)
    sessions = tuple(dict.fromkeys(event.session for event in told if event.number))
    numbers = {
        name: {s.number for s in [*told, *seen] if s.session == name and s.number} for name in sessions
    }
    order = [sessions.index(prediction.session) for prediction in seen]
    return Judged(
        sessions=sessions,
        names=tuple(event.name for event in told),
        predictions=len(seen),
        repeats=len(events_heard) - len(told) + len(kept_heard) - len(seen),
        missing=sum(max(found) - len(found) for found in numbers.values()),
        in_order=order == sorted(order),
    )


def crash_worker(agent: Agent, times: int) -> None:
    assert agent.process is not None
    pid = agent.process.pid
    worker = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
    os.kill(int(worker), signal.SIGKILL)
    logged(agent, "worker.crashed", times)


def logged(agent: Agent, event: str, times: int) -> None:
    deadline = time.monotonic() + 30.0
    while agent.log.read_text().count(f" {event} ") < times:
        assert time.monotonic() < deadline, f"no {event} in the log"
        time.sleep(0.05)


def kept_after(message: Message, topic: str, at: datetime) -> bool:
    """All that was said before has arrived then: predictions come in order, and after the events."""
    if message.topic != topic:
        return False
    prediction = predictions([message])[0]
    return prediction.number > 0 and prediction.at > at
