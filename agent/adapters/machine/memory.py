"""The memory of the machine. Source: proc(5), /proc/meminfo."""

from pathlib import Path


def read(meminfo: Path) -> dict[str, int]:
    """Each row by its name, in bytes (the file counts in KiB); none where the file cannot be read."""
    try:
        text = meminfo.read_bytes().decode(errors="replace")
    except OSError:
        return {}
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) > 1 and row[1].isdecimal()}
