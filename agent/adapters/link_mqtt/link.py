"""The link to an MQTT broker, over paho-mqtt.

One thread owns the socket and paho's client; callers only leave letters in a mailbox and wake it. So
there is one lock, it guards plain values, and nothing of paho's and no sink ever runs under it.

Each connection gets a client of its own, because paho would send again after a reconnect what it had
already accepted: here the futures say `LinkDown`, and whoever published decides.
Reconnecting is ours (full jitter): paho's own doubling brings a fleet back at one instant.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Event, Lock, Thread, current_thread
from typing import Final, TypeVar

from paho.mqtt.client import topic_matches_sub

from agent.adapters.link_mqtt.asking import Unanswered
from agent.adapters.link_mqtt.bell import Bell
from agent.adapters.link_mqtt.refusals import End, Refused
from agent.adapters.link_mqtt.session import CONNECT_S, Letter, Publish, Session, Subscribe, Unsubscribe
from agent.adapters.link_mqtt.settings import LinkSettings
from agent.core import turns
from agent.core.backoff import delay_s
from agent.ports.link import Down, LinkState, Message, Outgoing, Up
from agent.wire.errors import LinkDown
from agent.wire.topics import Qos

CLOSE_S: Final = 1.5
STEADY_S: Final = 5.0
"""A connection that lived shorter counts as failed: two clients under one id throw each other out."""

_log = logging.getLogger(__name__)
T = TypeVar("T")
Sink = Callable[[Message], None]


@dataclass(frozen=True, slots=True)
class _Subscription:
    qos: Qos
    sink: Sink
    literal: str | None
    """What every topic that it takes begins with; None: it takes one topic."""


class MqttLink:
    """A `Link` to one broker at a time of those that bear the same fleet.

    Subscriptions whose filters overlap may each bring the same message to every sink that matches it.
    Closing tells no state.
    """

    def __init__(self, settings: LinkSettings, chance: Callable[[], float] = random.random) -> None:
        self._settings = settings
        self._brokers = settings.alternatives
        self._chance = chance
        self._lock = Lock()
        self._mailbox: deque[Letter] = deque()
        self._subscriptions: dict[str, _Subscription] = {}
        self._unanswered = Unanswered() if settings.subscribe_qos is Qos.AT_MOST_ONCE else None
        self._up = False
        self._closing = Event()
        self._thread: Thread | None = None
        self._bell = Bell()
        self._complaints: set[str] = set()

    def open(self, on_state: Callable[[LinkState], None]) -> None:
        assert self._thread is None, "a link is opened once"
        self._thread = Thread(target=self._run, args=(on_state,), name="mqtt-link", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs; it does from `open` to `close`, whatever becomes of the broker."""
        return self._thread is not None and self._thread.is_alive()

    def publish(self, outgoing: Outgoing) -> Future[None]:
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        if not self._post(Publish(outgoing, future)):
            future.set_exception(LinkDown(f"{outgoing.topic} was not published: there is no connection"))
        return future

    def subscribe(self, topics: Sequence[str], qos: Qos, sink: Sink) -> None:
        qos = min(qos, self._settings.subscribe_qos, key=lambda each: each.value)
        with self._lock:
            self._subscriptions |= {topic: _Subscription(qos, sink, _literal(topic)) for topic in topics}
            if self._unanswered is not None:
                self._unanswered.ask(topics, time.monotonic())
        self._post(Subscribe(dict.fromkeys(topics, qos)))

    def unsubscribe(self, topics: Sequence[str]) -> None:
        with self._lock:
            for topic in topics:
                self._subscriptions.pop(topic, None)
            if self._unanswered is not None:
                self._unanswered.drop(topics)
        self._post(Unsubscribe(frozenset(topics)))

    def close(self) -> None:
        """Idempotent. A thread that still waits for a name server or for TCP ends when that returns."""
        self._closing.set()
        self._bell.ring()
        if self._thread is None:
            self._bell.close()
        elif self._thread is not current_thread():
            self._thread.join(CLOSE_S + 0.5)

    def _post(self, letter: Letter) -> bool:
        with self._lock:
            if not self._up or self._closing.is_set():
                return False
            self._mailbox.append(letter)
        self._bell.ring()
        return True

    def _run(self, on_state: Callable[[LinkState], None]) -> None:
        turn, attempts = turns.begin(self._settings.client_id, len(self._brokers)), 0
        news = _News(lambda down: self._call("on_state", on_state, down))
        while not self._closing.is_set():
            attempts += 1
            session = Session(self._brokers[turn.broker], self._dispatch)
            end = self._connect(session)
            if end is not None:
                turn = turns.failed(turn, hopeless=end.hopeless)
            else:
                news.up()
                self._rise(session, Up(attempts, self._brokers[turn.broker].place), on_state)
                born, attempts = time.monotonic(), 0
                end = self._serve(session)
                steady = time.monotonic() - born >= STEADY_S
                turn = turns.lost(turn, steady=steady, hopeless=end.hopeless)
            if self._closing.is_set():
                break
            news.ended(end, last=turn.pause is not None)
            if turn.pause is not None:
                self._pause(self._delay_s(turn.pause))
        self._bell.close()

    def _delay_s(self, failed: int) -> float:
        settings = self._settings
        return delay_s(failed, self._chance(), base_s=settings.backoff_base_s, cap_s=settings.backoff_cap_s)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._closing.is_set() and (left := deadline - time.monotonic()) > 0:
            self._bell.wait(left)

    def _connect(self, session: Session) -> End | None:
        """Connect and wait for the broker's word; None if it accepts."""
        try:
            session.connect()
        except Refused as refused:
            return refused.end
        deadline = time.monotonic() + CONNECT_S
        while session.end is None and not session.accepted:
            if self._closing.is_set() or time.monotonic() > deadline:
                session.abandon(f"{session.place} did not accept the connection in {CONNECT_S:g} s")
            else:
                session.turn(self._bell)
        return session.end

    def _rise(self, session: Session, up: Up, on_state: Callable[[LinkState], None]) -> None:
        with self._lock:
            self._up = True
            filters = {topic: wanted.qos for topic, wanted in self._subscriptions.items()}
            if self._unanswered is not None:
                self._unanswered.ask(filters, time.monotonic())
        session.subscribe(filters)
        self._call("on_state", on_state, up)

    def _serve(self, session: Session) -> End:
        while session.end is None and not self._closing.is_set():
            self._empty_mailbox(session)
            self._ask_again(session)
            session.turn(self._bell)
        if session.end is None:
            self._finish(session)
        with self._lock:
            self._up = False
        session.fail(self._letters())
        return session.end or End("the link was closed")

    def _finish(self, session: Session) -> None:
        """Send what was published before `close`, and say goodbye when it has been acknowledged."""
        self._empty_mailbox(session)
        deadline = time.monotonic() + CLOSE_S
        while session.end is None and not session.idle and (left := deadline - time.monotonic()) > 0:
            session.turn(self._bell, left)
        if session.end is None:
            session.say_goodbye()

    def _empty_mailbox(self, session: Session) -> None:
        for letter in self._letters():
            session.perform(letter)

    def _ask_again(self, session: Session) -> None:
        if self._unanswered is None:
            return
        with self._lock:
            due = {topic: self._subscriptions[topic].qos for topic in self._unanswered.due(time.monotonic())}
        if due:
            session.subscribe(due)

    def _letters(self) -> list[Letter]:
        with self._lock:
            letters = list(self._mailbox)
            self._mailbox.clear()
        return letters

    def _dispatch(self, message: Message) -> None:
        with self._lock:
            if self._unanswered is not None:
                self._unanswered.heard(message.topic, time.monotonic())
            exact = self._subscriptions.get(message.topic)
            wide = [
                wanted
                for topic_filter, wanted in self._subscriptions.items()
                # Most of a fleet's filters are told apart by their beginnings, a hundred times faster.
                if wanted.literal is not None
                and message.topic.startswith(wanted.literal)
                and topic_matches_sub(topic_filter, message.topic)
            ]
        for wanted in [exact, *wide] if exact is not None else wide:
            self._call(message.topic, wanted.sink, message)

    def _call(self, about: str, sink: Callable[[T], None], value: T) -> None:
        """Call a sink; one that raises is a bug of its owner, and must not end the connection."""
        try:
            sink(value)
        except Exception:  # noqa: BLE001 - whatever a sink raises, the connection outlives it
            if "link.sink_failed" not in self._complaints:
                self._complaints.add("link.sink_failed")
                _log.exception("link.sink_failed", extra={"about": about})


class _News:
    """Tells once why there is no connection; of several brokers, when all have been tried."""

    def __init__(self, tell: Callable[[Down], None]) -> None:
        self._tell = tell
        self._told = ""
        self._reasons: dict[str, None] = {}

    def up(self) -> None:
        self._told = ""
        self._reasons.clear()

    def ended(self, end: End, *, last: bool) -> None:
        """`last`: of a round."""
        self._reasons[end.reason] = None
        if not last:
            return
        reason = "; ".join(self._reasons)
        self._reasons.clear()
        if reason != self._told:
            self._told = reason
            self._tell(Down(reason, end.refusal))


def _literal(topic_filter: str) -> str | None:
    """The whole levels before the first wildcard: `a/#` takes `a` too."""
    before, wildcard, _ = topic_filter.replace("#", "+").partition("+")
    return before.rstrip("/") if wildcard else None
