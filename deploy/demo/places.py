"""Where the page of the demonstration's device listens."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

HOST: Final = "127.0.0.1"
USUAL: Final = 8480


@contextlib.contextmanager
def page(usual: int = USUAL) -> Iterator[str]:
    """The usual place, or where another program has it, one that was free a moment ago.

    The device takes its port seconds later: of two demonstrations that begin together, the first keeps UDP's
    port of that number until it ends, and the other sees it.
    """
    taken = _taken(usual) or _taken(0)
    if taken is None:
        yield ""
        return
    with taken:
        yield f"{HOST}:{taken.getsockname()[1]}"


def _taken(port: int) -> socket.socket | None:
    sign = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sign.bind((HOST, port))
        socket.create_server((HOST, sign.getsockname()[1])).close()
    except OSError:
        sign.close()
        return None
    return sign
