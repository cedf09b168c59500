"""A cage that a process closes around itself, without privileges: nothing on disk to be written, no network.

Two layers, each where the kernel has it: Landlock refuses writing, making, removing and executing files,
and TCP; a seccomp filter refuses every socket but local ones and netlink's. Both hold for the calling thread
and all that it starts, so they come before any other thread. Nothing opens the cage again.

Source: Linux, Documentation/userspace-api/landlock.rst and seccomp_filter.rst; include/uapi/linux/landlock.h,
seccomp.h, filter.h and audit.h.
"""

import ctypes
import errno
import os
import platform
import stat
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_SECCOMP: Final = 21
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""The same on every architecture, as all system calls since 5.1."""
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_FIRST_CHANGES: Final = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))
"""Writing, and what changes folders: REMOVE_DIR, REMOVE_FILE, MAKE_CHAR to MAKE_SYM."""
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_NET_TCP: Final = 0b11
_SCOPES: Final = 0b11
"""Abstract local sockets, and signals: neither reaches a process outside the cage."""

_AF_UNIX: Final = 1
_AF_NETLINK: Final = 16

DEVICES: Final = Path("/dev")
"""Cameras and accelerators are written to; their own permissions decide which."""


@dataclass(frozen=True, slots=True)
class Cage:
    """Of each layer why it is missing; empty: it stands."""

    files: str
    network: str

    def in_words(self) -> dict[str, str]:
        """What of it stands, as fields of a log line."""
        return {
            "files": f"not caged: {self.files}" if self.files else "read-only",
            "network": f"not caged: {self.network}" if self.network else "none",
        }


class _Missing(Exception):
    """This kernel has no such layer, or refuses it; says why."""


@dataclass(frozen=True, slots=True)
class _Abi:
    audit_arch: int
    socket: int
    foreign: int
    """Numbers from here on belong to another ABI of the same architecture (x32)."""


_ABIS: Final = {
    "x86_64": _Abi(0xC000003E, 41, 0x40000000),
    "aarch64": _Abi(0xC00000B7, 198, 0xFFFFFFFF),
    "riscv64": _Abi(0xC00000F3, 198, 0xFFFFFFFF),
    "arm": _Abi(0x40000028, 281, 0xFFFFFFFF),
}
_IO_URING_SETUP: Final = 425
"""The way to a socket that passes the filter by; the same number everywhere."""

_LOAD: Final = 0x20
"""BPF_LD | BPF_W | BPF_ABS, of `struct seccomp_data`: the number is at 0, the architecture at 4, the first
argument at 16.
"""
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EACCES


def close(*, network: bool, writes: Sequence[Path] = (DEVICES,)) -> Cage:
    """Close the cage around this thread and all that it starts.

    Args:
        network: it may go on talking to the network (a camera that is a stream).
        writes: files and folders that may be written to; one that is not there is passed over.
    """
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return Cage(
        files=_tried(lambda: _landlock(writes, network=network)),
        network="the camera needs it" if network else _tried(_refuse_sockets),
    )


def available() -> Cage:
    """Which layers this kernel has, without closing anything."""
    return Cage(files=_tried(_landlock_version), network=_tried(_seccomp_abi))


def _tried(layer: Callable[[], object]) -> str:
    try:
        layer()
    except _Missing as missing:
        return str(missing)
    return ""


def _landlock(writes: Sequence[Path], *, network: bool) -> None:
    version = _landlock_version()
    changes = _changes(version)
    ruleset = _create_ruleset(version, changes | _EXECUTE, 0 if network else _NET_TCP)
    try:
        for path in writes:
            _allow(ruleset, path, changes)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _landlock_version() -> int:
    return _call(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)


def _changes(version: int) -> int:
    """Every right to change files that this version knows; the ioctls of devices stay free."""
    known = _FIRST_CHANGES
    if version >= 2:
        known |= _REFER
    return known | _TRUNCATE if version >= 3 else known


def _create_ruleset(version: int, files: int, network: int) -> int:
    """A `struct landlock_ruleset_attr` of the length that this version knows."""
    attributes = struct.pack("=QQQ", files, network, _SCOPES)
    length = 24 if version >= 6 else 16 if version >= 4 else 8
    return _call(_CREATE_RULESET, attributes, length, 0)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """A `struct landlock_path_beneath_attr`; of a single file only the rights that files have."""
    try:
        there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(there).st_mode):
            rights &= _WRITE_FILE | _TRUNCATE
        _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, there), 0)
    finally:
        os.close(there)


def _refuse_sockets() -> None:
    """Install a `struct sock_fprog`."""
    program = _program(_seccomp_abi())
    instructions = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HP", len(program) // 8, ctypes.addressof(instructions))
    if _LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, fprog, 0, 0) != 0:
        raise _Missing(f"seccomp: {os.strerror(ctypes.get_errno())}")


def _program(abi: _Abi) -> bytes:
    """Jumps are counted from the instruction that follows; the last two are refusal and consent."""
    steps = (
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, 7, abi.audit_arch),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 5, 0, abi.foreign),
        (_EQUAL, 4, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 4, abi.socket),
        (_LOAD, 0, 0, 16),
        (_EQUAL, 2, 0, _AF_UNIX),
        (_EQUAL, 1, 0, _AF_NETLINK),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    )
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _seccomp_abi() -> _Abi:
    """That of this process: a 32-bit one under a 64-bit kernel is what `arm` describes."""
    if _LIBC.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
        raise _Missing("seccomp: this kernel was built without it")
    machine, wide = platform.machine(), struct.calcsize("P") == 8
    name = machine if wide else "arm" if machine.startswith(("arm", "aarch64")) else f"32-bit {machine}"
    if name not in _ABIS:
        raise _Missing(f"seccomp: the system calls of {name} are not known here")
    return _ABIS[name]


def _call(number: int, *arguments: bytes | int | None) -> int:
    """
    Raises:
        _Missing: the kernel refuses.
    """
    result: int = _LIBC.syscall(ctypes.c_long(number), *map(_argument, arguments))
    if result < 0:
        raise _Missing(f"Landlock: {_why(ctypes.get_errno())}")
    return result


def _argument(value: bytes | int | None) -> ctypes.c_long | bytes | None:
    """Integers as wide as registers are."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def _why(number: int) -> str:
    match number:
        case errno.ENOSYS:
            return "this kernel was built without it"
        case errno.EOPNOTSUPP:
            return "this kernel was started without it (lsm=landlock,...)"
        case _:
            return os.strerror(number)
