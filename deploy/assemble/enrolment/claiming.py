"""Devices that claim their identity: tokens are made, requests are read, and answered."""

import dataclasses
import secrets
import time
from collections.abc import Iterable
from concurrent.futures import TimeoutError as NoAcknowledgement
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Final

from msgspec.structs import replace

from agent.adapters.clock_system import SystemClock
from agent.ports.link import Message, Outgoing
from agent.wire import claims as wire
from agent.wire.claims import ClaimAnswer
from agent.wire.errors import Malformed, Unavailable
from agent.wire.seal import KEY_BYTES
from agent.wire.topics import CLAIM_ANSWER, CLAIM_REQUEST, DeviceId
from deploy.adapters.authority.profiles import Kind
from deploy.adapters.grants import Grants
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk.session import Session
from deploy.assemble.enrolment import broker_files, enrolling, membership
from deploy.core import device_config, names
from deploy.core.device_config import CameraKind
from deploy.core.enrolment import claims, orders, parcel
from deploy.core.enrolment.claims import Accepted, Asked, Grant
from deploy.core.enrolment.orders import Identity
from deploy.core.enrolment.parcel import Parcel
from deploy.core.refusal import Refused
from deploy.core.rollouts.state import Member

QUIET_S: Final = 0.3
READ_S: Final = 5.0
ACKNOWLEDGED_S: Final = 10.0
TOKEN_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class WantedToken:
    devices: int
    days: float
    tags: tuple[str, ...] = ()
    url: str | None = None
    camera: CameraKind = CameraKind.AUTO


@dataclass(frozen=True, slots=True)
class Waiting:
    """What lies on the broker: requests, and words about what is none."""

    asked: tuple[Asked, ...]
    refused: tuple[str, ...]


def make_token(workspace: Workspace, wanted: WantedToken) -> tuple[Grant, Parcel]:
    """A token, and what a factory image is given.

    Raises:
        Refused: the number, the time or a tag is none, or the broker is not encrypted.
        ConfigError: a file of the workspace is wrong.
        StoreFailed: the disk refused.
    """
    if wanted.devices < 1 or wanted.days <= 0:
        raise Refused("a token is for 1 device or more, and for a time: --devices N --days D")
    public = enrolling.public_files(workspace)
    if "ca.pem" not in public:
        raise Refused(
            "an image must know the fleet's authority: shoal broker-config, and its ca in shoal.toml"
        )
    name = secrets.token_hex(TOKEN_BYTES)
    grant = Grant(
        name=name,
        secret=secrets.token_bytes(KEY_BYTES),
        devices_max=wanted.devices,
        ends=SystemClock().now() + timedelta(days=wanted.days),
        tags=orders.tags(wanted.tags),
    )
    authority = membership.authority(workspace)
    pair = authority.issue(orders.claimant(name), Kind.CLIENT)
    _grants(workspace).put(grant)
    url = wanted.url or workspace.settings.broker.url
    config = enrolling.device_config(workspace, DeviceId("image"), url, wanted.camera, ())
    config = dataclasses.replace(config, ca="ca.pem", certificate="claim.pem", key="claim.key")
    text = device_config.factory_toml(config, token_file="claim.token", enrolment_key="enrolment.pem")  # noqa: S106 - a file's name
    files = {
        **public,
        "claim.pem": pair.certificate,
        "claim.key": pair.key,
        "claim.token": wire.token_text(grant.token),
        "enrolment.pem": authority.enrolment_key,
        parcel.CONFIGURATION: text.encode(),
    }
    return grant, Parcel(f"image-{name}", files)


def tokens(workspace: Workspace) -> tuple[Grant, ...]:
    """
    Raises:
        ConfigError: a file is none.
        StoreFailed: the disk refused.
    """
    return tuple(_grants(workspace).all().values())


def revoke_token(workspace: Workspace, name: str) -> None:
    """Whoever has the token gets nothing any more; those that were accepted stay.

    Raises:
        Refused: there is no such token.
        StoreFailed: the disk refused.
    """
    known = _grants(workspace).all()
    grant = known.get(name)
    if grant is None:
        raise Refused(
            f"there is no token {name!r}{names.nearest(name, known) or ': shoal claims new makes one'}"
        )
    _grants(workspace).put(replace(grant, revoked=True))
    membership.authority(workspace).revoke(orders.claimant(name))
    broker_files.refresh(workspace)


def waiting(workspace: Workspace, session: Session) -> Waiting:
    """Every request on the broker.

    Raises:
        ConfigError: a token's file is none.
    """
    grants, asked, refused = _grants(workspace).all(), list[Asked](), list[str]()
    for message in _requests(session):
        try:
            asked.append(claims.read(session.root, message.topic, message.payload, grants))
        except Malformed as error:
            refused.append(str(error))
    return Waiting(tuple(sorted(asked, key=lambda each: each.name)), tuple(sorted(refused)))


def accept(
    workspace: Workspace, session: Session, asked: Asked, device: DeviceId, tags: Iterable[str] = ()
) -> Member:
    """Give the device its identity. Who was answered before is answered the same again.

    Raises:
        Refused: the token is no longer good, or the name is taken.
        Malformed: the certificate request in it is none.
        PortError: the disk or the broker refused.
    """
    before = asked.accepted
    if before is not None:
        _publish(session, asked.name, before.answer)
        return orders.member(membership.read_fleet(workspace), before.device)
    claims.admit(asked, SystemClock().now())
    orders.unused(membership.read_fleet(workspace), device)
    request = asked.document.request.encode()
    authority = membership.authority(workspace)
    shared = authority.shared_secret(request)
    pair = authority.sign_request(request, device)
    identity = Identity(device, orders.tags((*asked.grant.tags, *tags)), "", pair.fingerprint)
    why = f"claim {asked.name} of token {asked.grant.name}"
    member = membership.admit(workspace, identity, why)
    key = membership.give_seal(workspace, device, wire.seal_secret(shared, session.root, device))
    document = ClaimAnswer(
        device=device,
        certificate=pair.certificate.decode(),
        tags=identity.tags,
        boots_above=key.boots_above,
    )
    content = claims.answer(session.root, asked, document)
    accepted = {**asked.grant.accepted, asked.name: Accepted(device=device, answer=content)}
    _grants(workspace).put(replace(asked.grant, accepted=accepted))
    _publish(session, asked.name, content)
    return member


def accept_all(workspace: Workspace, session: Session) -> tuple[Member, ...]:
    """Accept whoever has a token that is good, and tell again whom an answer did not reach.

    Raises:
        PortError: the disk or the broker refused.
        ConfigError: a token's file is none.
    """
    accepted: list[Member] = []
    for asked in waiting(workspace, session).asked:
        fresh = _grants(workspace).all()[asked.grant.name]
        current = Asked(asked.name, fresh, asked.document)
        try:
            accepted.append(accept(workspace, session, current, orders.new_id(asked.suggested)))
        except (Refused, Malformed):
            continue
    return tuple(accepted)


def _publish(session: Session, name: str, content: bytes) -> None:
    """The answer first; then the request is taken away."""
    root = session.root
    for channel, payload in ((CLAIM_ANSWER, content), (CLAIM_REQUEST, b"")):
        sent = session.link.publish(Outgoing(root.claim(channel, name), payload, channel.qos, channel.retain))
        try:
            sent.result(ACKNOWLEDGED_S)
        except NoAcknowledgement as error:
            raise Unavailable(
                f"the broker did not acknowledge the answer to claim {name}: try again"
            ) from error


def _requests(session: Session) -> list[Message]:
    """What is retained, up to a short silence."""
    arrived: SimpleQueue[Message] = SimpleQueue()
    everybody = session.root.claim(CLAIM_REQUEST, "+")
    session.link.subscribe([everybody], CLAIM_REQUEST.qos, arrived.put)
    found: dict[str, Message] = {}
    ends = time.monotonic() + READ_S
    try:
        while (left := ends - time.monotonic()) > 0:
            message = arrived.get(timeout=min(QUIET_S, left))
            found[message.topic] = message
    except Empty:
        pass
    session.link.unsubscribe([everybody])
    return [message for message in found.values() if message.payload]


def _grants(workspace: Workspace) -> Grants:
    return Grants(workspace.folder / "keys" / "claims")
