"""Rules over files: what may be written, run and read.

Source: Linux, Documentation/userspace-api/landlock.rst; include/uapi/linux/landlock.h.
"""

import os
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from agent.adapters.cage_linux.kernel import landlock

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""The same on every architecture, as all system calls since 5.1."""
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_FIRST_CHANGES: Final = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))
"""Writing, and what changes folders: REMOVE_DIR, REMOVE_FILE, MAKE_CHAR to MAKE_SYM."""
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_NET_TCP: Final = 0b11
_SCOPES: Final = 0b11
"""Abstract local sockets, and signals: neither reaches a process outside the cage."""

DEVICES: Final = Path("/dev")
"""Cameras and accelerators are written to; their own permissions decide which."""
_RENEWED: Final = Path("/etc")
"""Where /etc/resolv.conf is replaced by a new file, which a rule for the old one does not cover."""


def restrict(writes: Sequence[Path], hidden: Sequence[Path], *, network: bool, programs: bool) -> None:
    """Hold this thread and all that it starts to the rules.

    Args:
        writes: files and folders that may be written to; devices are written to, and never made.
        hidden: files and folders that may not be read; a process with the network must read all of /etc.
        network: it may go on using TCP.
        programs: it may start programs.

    Raises:
        Missing: this kernel has no Landlock.
    """
    known = version()
    changes = _changes(known)
    secrets = frozenset(
        path for each in hidden if not (path := each.resolve()).is_relative_to(_RENEWED) or not network
    )
    handled = changes | (0 if programs else _EXECUTE) | (_READ_FILE if secrets else 0)
    ruleset = _create_ruleset(known, handled, 0 if network else _NET_TCP)
    try:
        for path in writes:
            _allow(ruleset, path, changes & _OF_FILES if path == DEVICES else changes)
        for path in beside(Path("/"), secrets) if secrets else ():
            _allow(ruleset, path, _READ_FILE)
        landlock(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def version() -> int:
    """
    Raises:
        Missing: as `restrict`.
    """
    return landlock(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)


def beside(folder: Path, secrets: frozenset[Path]) -> Iterator[Path]:
    """All that the folder holds but these and their contents, in as few places as can be: what is made later
    in a folder around a secret is not among them.
    """
    around = {parent for secret in secrets for parent in secret.parents}
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        path = folder / entry.name
        if path in around:
            yield from beside(path, secrets)
        elif path not in secrets and not entry.is_symlink():
            yield path


def _changes(known: int) -> int:
    """Every right to change files that this version knows; the ioctls of devices stay free."""
    changes = _FIRST_CHANGES
    if known >= 2:
        changes |= _REFER
    return changes | _TRUNCATE if known >= 3 else changes


def _create_ruleset(known: int, files: int, network: int) -> int:
    """A `struct landlock_ruleset_attr` of the length that this version knows."""
    attributes = struct.pack("=QQQ", files, network, _SCOPES)
    length = 24 if known >= 6 else 16 if known >= 4 else 8
    return landlock(_CREATE_RULESET, attributes, length, 0)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """A `struct landlock_path_beneath_attr`; of a single file only the rights that files have."""
    try:
        there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(there).st_mode):
            rights &= _OF_FILES
        landlock(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, there), 0)
    finally:
        os.close(there)
