"""Sends a signed command to one device and waits for what becomes of it."""

import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from agent.ports.link import Link, Message, Outgoing
from agent.wire import codec
from agent.wire.commands import Answer, Command, FrameSent, Refusal
from agent.wire.errors import Unavailable, WireError
from agent.wire.reports import Presence, Status
from agent.wire.topics import ANSWER, COMMAND, FRAME, STATUS, DeviceId, Qos, Root, sha256

OFFLINE_S: Final = 3.0
"""How long a device may be silent whose last word was that it is offline."""
FRAME_S: Final = 3.0
"""How much later than the answer its frame may come."""
ACKNOWLEDGED_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Answered:
    answer: Answer
    jpeg: bytes | None = None
    """The frame that the answer speaks of; None where none belongs to it, or it did not arrive."""


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer came; `status` is the device's last word about itself, None if it never said one."""

    status: Presence | None
    waited_s: float


def ask(link: Link, root: Root, command: Command, envelope: bytes, wait_s: float) -> Answered | Silent:
    """
    Args:
        link: up.
        root: of the fleet.
        command: what the envelope holds.
        envelope: the command, signed.
        wait_s: for the answer.

    Raises:
        Unavailable: the broker did not acknowledge the command.
        LinkDown: the connection went away.
    """
    device = DeviceId(command.device)
    wanted = [
        root.device(STATUS, device),
        root.device(ANSWER, device),
        root.device(FRAME, device, command.pipeline),
    ]
    arrived: SimpleQueue[Message] = SimpleQueue()
    link.subscribe(wanted, Qos.AT_LEAST_ONCE, arrived.put)
    try:
        sent = link.publish(Outgoing(root.device(COMMAND, device), envelope, COMMAND.qos, COMMAND.retain))
        try:
            sent.result(timeout=ACKNOWLEDGED_S)
        except TimeoutError as error:
            raise Unavailable(f"the broker did not take the command within {ACKNOWLEDGED_S:g} s") from error
        return _Wait(root, command, wait_s).through(arrived)
    finally:
        link.unsubscribe(wanted)


class _Wait:
    def __init__(self, root: Root, command: Command, wait_s: float) -> None:
        self._root, self._command = root, command
        self._began_s = time.monotonic()
        self._ends_s = self._began_s + wait_s
        self._status: Presence | None = None
        self._answer: Answer | None = None
        self._frames: dict[str, bytes] = {}

    def through(self, arrived: "SimpleQueue[Message]") -> Answered | Silent:
        while (left_s := self._ends_s - time.monotonic()) > 0:
            try:
                self._take(arrived.get(timeout=left_s))
            except Empty:
                break
            if self._answer is not None and self._whole(self._answer):
                break
        if self._answer is None:
            return Silent(self._status, time.monotonic() - self._began_s)
        return Answered(self._answer, self._frame(self._answer))

    def _take(self, message: Message) -> None:
        try:
            channel = self._root.parse(message.topic).channel
            if channel is FRAME:
                self._frames[sha256(message.payload)] = message.payload
            elif channel is STATUS:
                self._see(codec.decode(message.payload, Status).state)
            else:
                self._hear(codec.decode(message.payload, Answer))
        except WireError:
            return  # whoever else writes there is not the one who was asked

    def _see(self, status: Presence) -> None:
        self._status = status
        if status is Presence.OFFLINE:
            self._ends_s = min(self._ends_s, time.monotonic() + OFFLINE_S)

    def _hear(self, answer: Answer) -> None:
        """The command was sent once: that it was obeyed before is said to its duplicate, not to it."""
        if answer.id != self._command.id or answer.refused is Refusal.REPLAYED or self._answer is not None:
            return
        self._answer = answer
        self._ends_s = time.monotonic() + FRAME_S

    def _whole(self, answer: Answer) -> bool:
        return not isinstance(answer.result, FrameSent) or self._frame(answer) is not None

    def _frame(self, answer: Answer) -> bytes | None:
        result = answer.result
        return self._frames.get(result.digest) if isinstance(result, FrameSent) else None
