"""How often the agent has started on this device, in one small file that is replaced as a whole."""

import logging
from pathlib import Path

from agent.adapters import whole_file

log = logging.getLogger(__name__)


def count(path: Path, above: int = 0) -> int:
    """One more than the last time, more than `above`, and on disk before it is told to anybody.

    A disk that refuses does not keep a device from serving: the same number then comes once more, and who
    reads the device's reports takes the first ones after the next start for old.
    """
    number = max(_last(path), above) + 1
    try:
        whole_file.replace(path, f"{number}\n".encode())
    except OSError as error:
        log.warning("boot.not-kept", extra={"boot": number, "reason": error.strerror or str(error)})
    return number


def _last(path: Path) -> int:
    try:
        return max(int(path.read_bytes()), 0)
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        log.warning("boot.unreadable", extra={"path": str(path), "reason": str(error)})
        return 0
