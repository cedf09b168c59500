"""The broker, as a short visit found it."""

from dataclasses import dataclass
from typing import Final

from agent.core.findings.finding import Facts, Finding, degraded, fatal, note, ok
from agent.core.refusal import Refusal

SLOW_MS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Refused:
    """No connection came about."""

    refusal: Refusal
    reason: str


@dataclass(frozen=True, slots=True)
class Silent:
    """Neither a connection nor a reason came within the time."""

    limit_s: float


@dataclass(frozen=True, slots=True)
class Visited:
    """The connection was accepted.

    `round_trip_ms` is the time from a publish to its acknowledgement; None: there was none. `echoed`: it came
    back to a subscription that stood. `returned`: what was published retained came back to a later
    subscription. `published`: the fleet's signed metadata is there.
    """

    round_trip_ms: float | None
    echoed: bool
    returned: bool
    published: bool
    connect_ms: float


Visit = Refused | Silent | Visited

_REMEDIES: Final = {
    Refusal.NAME: "correct broker.url, or mend the name server: getent hosts NAME",
    Refusal.UNRESOLVED: "see whether this device has a network and a name server: resolvectl status",
    Refusal.NOBODY: "start the broker, or correct the port in broker.url",
    Refusal.UNREACHABLE: "see whether this device has a network, and whether a firewall stands between",
    Refusal.SILENT: "see whether a firewall stands between, and whether broker.url names the right host",
    Refusal.CERTIFICATE: "name the authority that signed the broker's certificate in broker.ca",
    Refusal.CERTIFICATE_EXPIRED: "renew the broker's certificate; if it is fresh, see this device's clock",
    Refusal.CERTIFICATE_EARLY: "see this device's clock (timedatectl); else wait, or renew the certificate",
    Refusal.CERTIFICATE_NAME: "write the name in broker.url that stands in the broker's certificate",
    Refusal.CLIENT_CERTIFICATE: "name one of the broker's authority: broker.certificate and broker.key",
    Refusal.TLS: "see whether that port speaks TLS, and which versions: openssl s_client -connect HOST:PORT",
    Refusal.FILE: "correct the path in [broker], or let the service's user read the file",
    Refusal.CREDENTIALS: (
        "correct broker.username and the content of the password file, or see which client ids it allows"
    ),
    Refusal.PROTOCOL: "set broker.protocol to the other of '3.1.1' and '5'",
    Refusal.CLIENT_ID: "allow the client id shoal-ID, and shoal-ID-check for this examination, on the broker",
    Refusal.HUNG_UP: "see whether the port speaks MQTT, and TLS if broker.url says mqtts; read its log",
    Refusal.OTHER: "read the broker's log at this moment",
}
_ACT: Final = frozenset(
    {
        Refusal.NAME,
        Refusal.CERTIFICATE,
        Refusal.CERTIFICATE_EXPIRED,
        Refusal.CERTIFICATE_NAME,
        Refusal.CLIENT_CERTIFICATE,
        Refusal.TLS,
        Refusal.FILE,
        Refusal.CREDENTIALS,
        Refusal.PROTOCOL,
        Refusal.CLIENT_ID,
    }
)
"""What does not mend itself."""


def unclaimed(name: str) -> Finding:
    """Of a device from a factory image, before anybody has given it an id."""
    return degraded(
        "broker.unclaimed",
        f"this device waits for an identity, under the claim {name}"
        if name
        else "this device has asked for no identity yet",
        f"the operator accepts it: shoal claims accept {name[:8]}" if name else "start the agent, which asks",
        {"claim": name},
    )


def broker(place: str, protocol: str, visit: Visit, topics: str, *, tls: bool) -> tuple[Finding, ...]:
    """
    Args:
        place: host and port.
        topics: the filter of all that this device may publish.
        protocol: the MQTT version that was spoken.
        visit: what came of it.
        tls: whether the connection was to be encrypted.
    """
    facts: Facts = {"place": place, "protocol": protocol, "topics": topics, "tls": tls}
    match visit:
        case Refused(refusal, reason):
            make = fatal if refusal in _ACT else degraded
            return (make(f"broker.{refusal}", reason, _REMEDIES[refusal], facts),)
        case Silent(limit_s):
            reason = f"{place} gave neither a connection nor a reason within {limit_s:g} s"
            return (degraded("broker.silent", reason, _REMEDIES[Refusal.SILENT], facts),)
        case Visited():
            return tuple(_visited(place, protocol, visit, facts))


def _visited(place: str, protocol: str, visit: Visited, facts: Facts) -> list[Finding]:
    if visit.round_trip_ms is None:
        return [
            fatal(
                "broker.publish",
                f"{place} acknowledges nothing that this device publishes below its own topics",
                f"allow this device on the broker to write {facts['topics']}, with QoS 1",
                facts,
            )
        ]
    facts = facts | {"round_trip_ms": visit.round_trip_ms, "connect_ms": visit.connect_ms}
    if not visit.echoed:
        # With MQTT 3.1.1 a broker acknowledges what it does not let pass (3.3.5).
        return [
            fatal(
                "broker.denied",
                f"{place} gives back nothing of what this device publishes below its own topics",
                f"allow this device on the broker to write and to read {facts['topics']}",
                facts,
            )
        ]
    if not visit.returned:
        return [
            fatal(
                "broker.retained",
                f"{place} does not keep what this device publishes as retained",
                "allow retained messages on the broker (Mosquitto: retain_available true)",
                facts,
            )
        ]
    found = [_pace(place, protocol, visit.round_trip_ms, facts)]
    if not visit.published:
        found.append(
            note(
                "broker.empty",
                f"no signed metadata is published below broker.root on {place}",
                "see whether broker.root is the operator's, and let the operator run: shoal publish",
                facts,
            )
        )
    return found


def _pace(place: str, protocol: str, round_trip_ms: float, facts: Facts) -> Finding:
    if round_trip_ms > SLOW_MS:
        return degraded(
            "broker.slow",
            f"{place} takes {round_trip_ms:.0f} ms to acknowledge a message",
            "see how loaded the broker and the network are",
            facts,
        )
    secured = "TLS" if facts["tls"] else "not encrypted"
    return ok("broker", f"{place}, MQTT {protocol}, {secured}, {round_trip_ms:.1f} ms a round trip", facts)
