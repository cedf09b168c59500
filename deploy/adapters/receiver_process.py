"""The receiving process (`deploy.page.receiver`) as its reader sees it."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from agent.ports.link import Message
from deploy.adapters.kept_process import KeptProcess, Program, kept
from deploy.core.page import parcels


def receiving(
    workspace: Path, take: Callable[[Message], None], lose: Callable[[int], None]
) -> AbstractContextManager[KeptProcess]:
    """Have the workspace's fleet listened to for as long as this lasts.

    Args:
        workspace: its folder.
        take: called with each message, on a thread of its own.
        lose: called with how many did not fit, on that thread.
    """

    def read(pipe: IO[bytes]) -> None:
        """To its end; what a process that was killed had not written whole is nothing."""
        while len(head := pipe.read(parcels.HEAD.size)) == parcels.HEAD.size:
            topic_bytes, payload_bytes = parcels.HEAD.unpack(head)
            body = pipe.read(topic_bytes + payload_bytes)
            if len(body) < topic_bytes + payload_bytes:
                return
            topic, payload = body[:topic_bytes].decode(), body[topic_bytes:]
            if topic:
                take(Message(topic, payload))
            else:
                lose(int(payload))

    words = (sys.executable, "-P", "-m", "deploy.page.receiver", str(workspace))
    return kept(Program("receiver", words, _close, read))


def _close(child: subprocess.Popen[bytes]) -> None:
    """It ends with its stdin, and what it holds already is read first."""
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
