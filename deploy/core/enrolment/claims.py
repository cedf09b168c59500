"""The operator's side of a claim: what a token is good for, and which requests are heeded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct

from agent.wire import codec
from agent.wire.claims import ClaimAnswer, ClaimRequest, Token
from agent.wire.documents import Instant, Segment
from agent.wire.errors import Malformed
from agent.wire.seal import seal, unseal
from agent.wire.topics import CLAIM_ANSWER, CLAIM_REQUEST, DeviceId, Root
from deploy.core.refusal import Refused


class Accepted(Struct, frozen=True, kw_only=True):
    device: DeviceId
    answer: bytes
    """As it was published: it is said again to whom it did not reach."""


class Grant(Struct, frozen=True, kw_only=True):
    """A token, and what became of it."""

    name: Segment
    secret: bytes
    devices_max: int
    ends: Instant
    tags: tuple[str, ...] = ()
    revoked: bool = False
    accepted: dict[str, Accepted] = {}
    """By the name of the claim."""

    @property
    def token(self) -> Token:
        return Token(self.name, self.secret)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was made with the token."""

    name: str
    """Of the claim."""
    grant: Grant
    document: ClaimRequest

    @property
    def accepted(self) -> Accepted | None:
        return self.grant.accepted.get(self.name)

    @property
    def suggested(self) -> str:
        """An id, where the operator gives none: hosts of one image all have the same name."""
        return f"pi-{self.name[:8]}"


def read(root: Root, topic: str, content: bytes, grants: Mapping[str, Grant]) -> Asked:
    """The request, which its token has sealed.

    Raises:
        Malformed: it is none, its token is unknown, or the seal is not the token's.
    """
    address = root.parse(topic)
    if address.channel is not CLAIM_REQUEST or address.name is None:
        raise Malformed(f"{topic} is no claim")
    named = codec.decode(content, ClaimRequest).token
    grant = grants.get(named)
    if grant is None:
        raise Malformed(f"claim {address.name} names the token {named}, which was never made here")
    document = codec.decode(unseal(topic, content, grant.secret), ClaimRequest)
    return Asked(address.name, grant, document)


def admit(asked: Asked, now: datetime) -> None:
    """
    Raises:
        Refused: the token is no longer good.
    """
    grant, claim = asked.grant, f"claim {asked.name}"
    if grant.revoked:
        raise Refused(f"{claim}: its token {grant.name} was revoked")
    if now >= grant.ends:
        raise Refused(f"{claim}: its token {grant.name} ended on {grant.ends:%Y-%m-%d}; shoal claims new")
    if len(grant.accepted) >= grant.devices_max:
        raise Refused(f"{claim}: all {grant.devices_max} devices of its token {grant.name} have come")


def answer(root: Root, asked: Asked, document: ClaimAnswer) -> bytes:
    """What is published: sealed by the token, for this claim alone."""
    topic = root.claim(CLAIM_ANSWER, asked.name)
    return seal(topic, codec.encode(document), asked.grant.secret)
