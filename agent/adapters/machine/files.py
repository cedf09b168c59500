"""Disks, and who may read and write what."""

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from agent.core.findings.files import Disk, Entry, Hidden, Missing, Place, State, User


def disk(path: Path) -> Disk:
    """The file system that holds the path, or will hold it, as far as this user may look. Source:
    statvfs(3).
    """
    existing, facts = _file_system(path)
    return Disk(
        path=str(existing),
        free_bytes=facts.f_bavail * facts.f_frsize,
        total_bytes=facts.f_blocks * facts.f_frsize,
        free_inodes=facts.f_favail if facts.f_files else None,
        read_only=bool(facts.f_flag & os.ST_RDONLY),
    )


def _file_system(path: Path) -> tuple[Path, os.statvfs_result]:
    for each in (path, *path.parents):
        with contextlib.suppress(OSError):
            return each, os.statvfs(each)
    return Path("/"), os.statvfs("/")


def nearest(path: Path) -> Path:
    """The path, or the first folder above it that is there."""
    return next((each for each in (path, *path.parents) if not isinstance(place(each), Missing)), Path("/"))


def state(folder: Path) -> State:
    try:
        entries = tuple(place(each) for each in sorted(folder.iterdir()))
    except OSError:
        entries = ()
    return State(place(folder), entries, place(nearest(folder)))


def place(path: Path) -> Place:
    try:
        found = path.stat()
    except PermissionError:
        return Hidden(str(path))
    except OSError:
        return Missing(str(path))
    return Entry(
        path=str(path),
        owner=_user(found.st_uid),
        group=_group(found.st_gid),
        mode=stat.S_IMODE(found.st_mode),
        readable=os.access(path, os.R_OK),
        writable=os.access(path, os.W_OK),
    )


def nodes(patterns: Iterable[str], dev: Path = Path("/dev")) -> tuple[Entry, ...]:
    """The device files below `dev` that match."""
    paths = dict.fromkeys(path for pattern in patterns for path in sorted(dev.glob(pattern)))
    return tuple(found for found in map(place, paths) if isinstance(found, Entry))


def user() -> User:
    uid = os.geteuid()
    groups = {os.getegid(), *os.getgroups()}
    return User(_user(uid), frozenset(map(_group, groups)), root=uid == 0)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
