"""Where the demonstration works, and where the page of its device listens."""

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.wire.errors import ConfigError

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


@contextlib.contextmanager
def folder(keep: Path | None) -> Iterator[Path]:
    """The one to keep; else one that is gone afterwards.

    Raises:
        ConfigError: the one to keep cannot be made, or holds something already.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="shoal-demo-") as made:
            yield Path(made)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        used = any(keep.iterdir())
    except OSError as error:
        raise ConfigError(f"--keep {keep}: {error.strerror}; name a new folder") from error
    if used:
        raise ConfigError(f"--keep {keep}: there is something in it; name a new folder")
    yield keep
