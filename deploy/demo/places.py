"""Where the page of the demonstration's device listens."""

import contextlib
import socket
from typing import Final

HOST: Final = "127.0.0.1"
USUAL: Final = 8480


def page() -> str:
    """The usual place, or where another program has it, one that was free a moment ago."""
    for port in (USUAL, 0):
        with contextlib.suppress(OSError), socket.create_server((HOST, port)) as tried:
            return f"{HOST}:{tried.getsockname()[1]}"
    return ""
