"""A device without an identity asks for one, and waits for as long as it takes.

Everything here stands still until there is an answer, so one thread waits; the service manager hears that the
device is alive, and what it waits for.
"""

import logging
import queue
from dataclasses import dataclass
from typing import Final, Protocol

from agent.ports.clock import Clock
from agent.ports.link import Down, Link, LinkState, Message, Outgoing, Up
from agent.ports.notify import Alive, Notify, Ready, Status
from agent.wire import codec
from agent.wire.claims import ClaimAnswer, ClaimRequest, Token
from agent.wire.errors import WireError
from agent.wire.seal import seal, unseal
from agent.wire.topics import CLAIM_ANSWER, CLAIM_REQUEST, Root

log = logging.getLogger(__name__)

ALIVE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What is asked for, and with what."""

    root: Root
    name: str
    token: Token
    request: str
    """PKCS#10, in PEM."""
    host: str
    machine: str


class Verify(Protocol):
    def __call__(self, answer: ClaimAnswer) -> None:
        """
        Raises:
            Untrusted: the certificate is not for this device's key, or not by the fleet's authority.
        """
        ...


class Claiming:
    def __init__(self, link: Link, claim: Claim, clock: Clock, notify: Notify, verify: Verify) -> None:
        self._link, self._claim, self._clock, self._notify = link, claim, clock, notify
        self._verify = verify
        self._news: queue.Queue[LinkState | Message] = queue.Queue()

    def run(self) -> ClaimAnswer:
        """The answer; it waits without end, and asks anew with every connection."""
        topic = self._claim.root.claim(CLAIM_ANSWER, self._claim.name)
        self._link.open(self._news.put)
        self._link.subscribe([topic], CLAIM_ANSWER.qos, self._news.put)
        self._notify.tell(Ready(), Status(f"claim {self._claim.name}: waiting for the broker"))
        try:
            while True:
                answer = self._next()
                if answer is not None:
                    return answer
        finally:
            self._link.close()

    def _next(self) -> ClaimAnswer | None:
        self._notify.tell(Alive())
        try:
            news = self._news.get(timeout=ALIVE_S)
        except queue.Empty:
            return None
        match news:
            case Up():
                self._ask()
            case Down(reason):
                log.warning("claim.link-down", extra={"reason": reason})
            case Message() if news.payload:
                return self._judged(news)
            case Message():
                pass
        return None

    def _ask(self) -> None:
        claim, topic = self._claim, self._claim.root.claim(CLAIM_REQUEST, self._claim.name)
        document = ClaimRequest(
            token=claim.token.name,
            request=claim.request,
            at=self._clock.now(),
            host=claim.host,
            machine=claim.machine,
        )
        content = seal(topic, codec.encode(document), claim.token.secret)
        self._link.publish(Outgoing(topic, content, CLAIM_REQUEST.qos, CLAIM_REQUEST.retain))
        words = f"claim {claim.name}: waiting for the operator, who accepts it with shoal claims accept"
        self._notify.tell(Status(words))
        log.info("claim.asked", extra={"claim": claim.name, "token": claim.token.name})

    def _judged(self, message: Message) -> ClaimAnswer | None:
        """An answer that is not ours changes nothing: the right one may still come."""
        try:
            content = unseal(message.topic, message.payload, self._claim.token.secret)
            answer = codec.decode(content, ClaimAnswer)
            self._verify(answer)
        except WireError as error:
            log.warning("claim.refused", extra={"reason": str(error)})
            return None
        return answer
