"""Who may say and hear what: Mosquitto's access list.

Only what is granted is allowed. A client's name is the common name of its certificate, or its user name.
`pattern` lines hold for everybody, with %u for that name and %c for the client's id.
Source: mosquitto.conf(5), acl_file.
"""

from collections.abc import Iterable
from typing import Final

from agent.wire.topics import (
    ANSWER,
    CHECK,
    CHUNK,
    CLAIM_ANSWER,
    CLAIM_REQUEST,
    COMMAND,
    EVENT,
    FRAME,
    INSTALL,
    META,
    MODEL,
    PREDICTION,
    REPORT,
    SLICE,
    STATUS,
    TARGET,
    TELEMETRY,
    DeviceId,
    House,
    Root,
)

OPERATOR: Final = "operator"
SITE: Final = "site"
CLAIM: Final = "claim"
SERVER: Final = "server"
HOME: Final = "homeassistant"
"""A Home Assistant."""
FOR_ALL: Final = (META, TARGET, CHUNK)
"""What is signed, or named by its digest. The index is one of the first. A site's broker keeps no more of it:
its devices are near it, and slices would double what crosses its line."""
SAID_BY_DEVICES: Final = (STATUS, REPORT, EVENT, PREDICTION, TELEMETRY, FRAME, ANSWER)
SHOWN_AT_HOME: Final = (STATUS, REPORT, PREDICTION, TELEMETRY, FRAME, MODEL)
"""What a Home Assistant reads. It is on the broker of its own site."""
HOUSE: Final = House()
"""With the prefix that every Home Assistant begins with."""


def access_list(root: Root, expelled: Iterable[DeviceId]) -> str:
    """The acl_file. It is read again on a reload, and holds for those who are connected then."""
    lines = [
        "# Written by shoal broker-config, and by shoal revoke: changes here are lost.",
        "# Operators and controllers.",
        f"user {OPERATOR}",
        f"topic readwrite {root.prefix}/#",
        f"topic write {HOUSE.announcement('+')}",
        "topic read $SYS/#",
        "",
        "# Brokers of sites: they carry what their devices say, and can change nothing that is signed.",
        f"user {SITE}",
        *(f"topic write {root.everywhere(channel)}" for channel in SAID_BY_DEVICES),
        f"topic read {root.everywhere(COMMAND)}",
        "",
        "# A Home Assistant: it sees how devices fare, and says that a release is accepted.",
        f"user {HOME}",
        f"topic readwrite {HOUSE.prefix}/#",
        *(f"topic read {root.everywhere(channel)}" for channel in SHOWN_AT_HOME),
        f"topic write {root.everywhere(INSTALL)}",
        "",
        "# Every device: what is for all, and its own topics.",
        *(f"pattern read {root.everywhere(channel)}" for channel in (*FOR_ALL, SLICE)),
        *(f"pattern write {root.everywhere(channel, '%u')}" for channel in (*SAID_BY_DEVICES, CHECK, MODEL)),
        *(f"pattern read {root.everywhere(channel, '%u')}" for channel in (COMMAND, CHECK, INSTALL)),
        f"pattern write {HOUSE.announcement('%u')}",
        f"pattern read {HOUSE.status()}",
        "",
        "# A device that claims an identity: its own conversation.",
        f"pattern write {root.everywhere(CLAIM_REQUEST, '%c')}",
        f"pattern read {root.everywhere(CLAIM_ANSWER, '%c')}",
    ]
    for device in expelled:
        lines += ["", f"user {device}", f"topic deny {root.prefix}/#", f"topic deny {HOUSE.prefix}/#"]
    return "\n".join([*lines, ""])
