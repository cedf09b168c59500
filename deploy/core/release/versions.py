"""Which of a model's releases is the newest."""

import re
from collections.abc import Sequence

from agent.wire.documents import ReleaseRef
from deploy.core import names
from deploy.core.refusal import Refused

Key = tuple[tuple[int, int, str], ...]


def key(version: str) -> Key:
    """Orders versions as people read them: numbers by value, `2.0` after `2.0-rc1`, `2.0.1` after `2.0`."""
    parts = [
        (2, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.findall(r"[0-9]+|[A-Za-z]+", version)
    ]
    return (*parts, (1, 0, ""))


def choose(releases: Sequence[ReleaseRef], wanted: str) -> ReleaseRef:
    """The release that `NAME@VERSION` names, the newest version where only `NAME` is given.

    Raises:
        Refused: there is no such release; the message names the nearest.
    """
    name, _, version = wanted.partition("@")
    named = [ref for ref in releases if ref.name == name]
    if not releases:
        raise Refused(f"there is no release of {name!r}: nothing was released yet, see shoal release --help")
    if not named:
        raise Refused(f"there is no release of {name!r}{names.nearest(name, {r.name for r in releases})}")
    if not version:
        return max(named, key=lambda ref: key(ref.version))
    for ref in named:
        if ref.version == version:
            return ref
    known = ", ".join(sorted((ref.version for ref in named), key=key))
    raise Refused(f"{name} has no version {version!r}: released are {known}")
