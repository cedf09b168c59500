"""What an examination found: one line of cause and one of remedy."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct, field

Plain = str | int | float | bool
Facts = dict[str, Plain]


class Severity(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is lost."""
    DEGRADED = "degraded"
    """The device serves, with less than it could."""
    FATAL = "fatal"
    """It cannot serve before a person has acted."""


class Area(StrEnum):
    """What is examined, in this order: the first part of a finding's name."""

    CONFIG = "config"
    AGENT = "agent"
    HOST = "host"
    CLOCK = "clock"
    DISK = "disk"
    PERMISSIONS = "permissions"
    CAGE = "cage"
    RUNTIME = "runtime"
    DELEGATE = "delegate"
    SPEED = "speed"
    EDGETPU = "edgetpu"
    CAMERA = "camera"
    NUMPY = "numpy"
    PYCORAL = "pycoral"
    WEB = "web"
    TRUST = "trust"
    BROKER = "broker"


class Finding(Struct, frozen=True, kw_only=True):
    """`name` is the area, and behind a dot what was found there: `broker`, `broker.credentials`.

    Names, and what they mean, stay the same from version to version; the sentences need not.
    """

    name: str
    severity: Severity
    cause: str
    remedy: str = ""
    """Empty where nothing is to be done."""
    facts: Facts = field(default_factory=dict)

    @property
    def area(self) -> Area:
        return Area(self.name.partition(".")[0])


def ok(name: str, cause: str, facts: Facts | None = None) -> Finding:
    return Finding(name=name, severity=Severity.OK, cause=cause, facts=facts or {})


def note(name: str, cause: str, remedy: str = "", facts: Facts | None = None) -> Finding:
    return Finding(name=name, severity=Severity.NOTE, cause=cause, remedy=remedy, facts=facts or {})


def degraded(name: str, cause: str, remedy: str, facts: Facts | None = None) -> Finding:
    return Finding(name=name, severity=Severity.DEGRADED, cause=cause, remedy=remedy, facts=facts or {})


def fatal(name: str, cause: str, remedy: str, facts: Facts | None = None) -> Finding:
    return Finding(name=name, severity=Severity.FATAL, cause=cause, remedy=remedy, facts=facts or {})


def can_serve(findings: Iterable[Finding]) -> bool:
    return all(finding.severity is not Severity.FATAL for finding in findings)
