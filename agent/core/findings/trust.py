"""The pinned root of trust, and how old the metadata is that was verified last."""

from dataclasses import dataclass
from datetime import datetime

from agent.core.findings.finding import Facts, Finding, degraded, fatal, note, ok


@dataclass(frozen=True, slots=True)
class Unreadable:
    reason: str
    """As the operating system says it."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """The file is there, and is none of the operator's metadata."""


@dataclass(frozen=True, slots=True)
class Expiring:
    """Metadata of a role: its version, and until when it counts."""

    version: int
    expires: datetime


Metadata = Expiring | Unreadable | Damaged


def trust(path: str, root: Metadata, timestamp: Metadata | None, now: datetime) -> Finding:
    """
    Args:
        path: of the pinned root.
        root: what it holds.
        timestamp: the newest verified; None: nothing was verified here yet.
        now: what time it is.
    """
    facts: Facts = {"root": path}
    match root:
        case Unreadable(reason):
            return fatal(
                "trust.missing",
                f"the pinned root of trust {path}: {reason}",
                "copy root.json from the operator's workspace, and let the service's user read it",
                facts,
            )
        case Damaged():
            return fatal(
                "trust.damaged",
                f"{path} is not the root of a TUF repository",
                "copy root.json from the operator's workspace again",
                facts,
            )
        case Expiring(version, _):
            return _freshness(facts | {"version": version}, timestamp, now)


def _freshness(facts: Facts, timestamp: Metadata | None, now: datetime) -> Finding:
    """An expired root is no fault by itself: a newer one is fetched. An expired timestamp is."""
    version = facts["version"]
    match timestamp:
        case None:
            return note(
                "trust.unused",
                f"root of trust version {version}; no metadata has been verified here yet",
                "start the agent where the broker can be reached",
                facts,
            )
        case Unreadable() | Damaged():
            return degraded(
                "trust.cache",
                "the metadata that was verified last cannot be read",
                "let the service's user read its state folder; damaged files are fetched again by themselves",
                facts,
            )
        case Expiring(expires=expires):
            until = f"{expires:%Y-%m-%d %H:%M} UTC"
            facts = facts | {"expires": expires.isoformat()}
            if expires <= now:
                return degraded(
                    "trust.stale",
                    f"the operator's signed metadata expired at {until}, so nothing new is installed",
                    "let the operator sign a fresh timestamp: shoal sign",
                    facts,
                )
            return ok(
                "trust", f"root of trust version {version}; signed metadata is fresh until {until}", facts
            )
