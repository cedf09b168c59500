"""Who may say and hear what: Mosquitto's access list.

Only what is granted is allowed. A client's name is the common name of its certificate, or its user name.
`pattern` lines hold for everybody, with %u for that name and %c for the client's id.
Source: mosquitto.conf(5), acl_file.
"""

from collections.abc import Iterable
from typing import Final

from agent.wire.topics import DeviceId, Root

OPERATOR: Final = "operator"
SITE: Final = "site"
CLAIM: Final = "claim"
SERVER: Final = "server"


def access_list(root: Root, expelled: Iterable[DeviceId]) -> str:
    """The acl_file. It is read again on a reload, and holds for those who are connected then."""
    top = root.prefix
    lines = [
        "# Written by shoal broker-config, and by shoal revoke: changes here are lost.",
        "# Operators and controllers.",
        f"user {OPERATOR}",
        f"topic readwrite {top}/#",
        "topic read $SYS/#",
        "",
        "# Brokers of sites: they carry what their devices say, and can change nothing that is signed.",
        f"user {SITE}",
        f"topic write {top}/device/#",
        f"topic read {top}/device/+/+/command",
        "",
        "# Every device: what is for all, and its own topics.",
        *(f"pattern read {top}/{what}/#" for what in ("meta", "target", "chunk")),
        f"pattern write {top}/device/+/%u/#",
        *(f"pattern read {top}/device/+/%u/{leaf}" for leaf in ("command", "check")),
        "",
        "# A device that claims an identity: its own conversation.",
        f"pattern write {top}/claim/%c/request",
        f"pattern read {top}/claim/%c/answer",
    ]
    for device in expelled:
        lines += ["", f"user {device}", f"topic deny {top}/#"]
    return "\n".join([*lines, ""])
