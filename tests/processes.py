"""What /proc tells of processes and their children."""

from pathlib import Path


def descendants(pid: int) -> dict[int, str]:
    """By their numbers, what each of them is."""
    found: dict[int, str] = {}
    for tasks in Path(f"/proc/{pid}").glob("task/*/children"):
        for child in map(int, tasks.read_text().split()):
            found[child] = subcommand(child)
            found |= descendants(child)
    return found


def subcommand(pid: int) -> str:
    """As in `python -P -m agent worker`."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[4] if len(words) > 4 else ""


def running(pid: int) -> bool:
    """A zombie that nobody has reaped yet holds nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
