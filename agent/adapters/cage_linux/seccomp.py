"""A filter of system calls: no network, no other process, no program.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst; include/uapi/linux/seccomp.h, filter.h, audit.h
and sched.h; the tables arch/x86/entry/syscalls/syscall_64.tbl, arch/arm/tools/syscall.tbl and
scripts/syscall.tbl.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass
from typing import Final

from agent.adapters.cage_linux.kernel import LIBC, Missing

_PR_GET_SECCOMP: Final = 21
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2

_AF_UNIX: Final = 1
_AF_NETLINK: Final = 16
_CLONE_THREAD: Final = 0x10000


@dataclass(frozen=True, slots=True)
class Abi:
    audit_arch: int
    foreign: int
    """Numbers from here on belong to another ABI of the same architecture (x32)."""
    socket: int
    clone: int
    own: tuple[int, ...]
    """kill, tgkill: at this process alone."""
    refused: tuple[int, ...]
    """tkill, rt_sigqueueinfo, rt_tgsigqueueinfo; ptrace, process_vm_readv, process_vm_writev; keyctl,
    add_key, request_key; bpf, perf_event_open, userfaultfd.
    """
    programs: tuple[int, ...]
    """execve, execveat; fork and vfork where they are calls of their own."""


_GENERIC_REFUSED: Final = (130, 138, 240, 117, 270, 271, 219, 217, 218, 280, 241, 282)
ABIS: Final = {
    "x86_64": Abi(
        audit_arch=0xC000003E,
        foreign=0x40000000,
        socket=41,
        clone=56,
        own=(62, 234),
        refused=(200, 129, 297, 101, 310, 311, 250, 248, 249, 321, 298, 323),
        programs=(59, 322, 57, 58),
    ),
    "aarch64": Abi(0xC00000B7, 0xFFFFFFFF, 198, 220, (129, 131), _GENERIC_REFUSED, (221, 281)),
    "riscv64": Abi(0xC00000F3, 0xFFFFFFFF, 198, 220, (129, 131), _GENERIC_REFUSED, (221, 281)),
    "arm": Abi(
        audit_arch=0x40000028,
        foreign=0xFFFFFFFF,
        socket=281,
        clone=120,
        own=(37, 268),
        refused=(238, 178, 363, 26, 376, 377, 311, 309, 310, 386, 364, 388),
        programs=(11, 387, 2, 190),
    ),
}
_REFUSED_EVERYWHERE: Final = (424, 425, 426, 427, 434, 438)
"""pidfd_send_signal; io_uring, the way to a socket that passes the filter by; pidfd_open, pidfd_getfd. The
same numbers on every architecture, as all since 5.1.
"""
_CLONE3: Final = 435
"""Its flags lie in memory, where no filter sees them. The C library falls back to clone."""

LOAD: Final = 0x20
"""BPF_LD | BPF_W | BPF_ABS, of `struct seccomp_data`: the number is at 0, the architecture at 4, the first
argument at 16.
"""
EQUAL: Final = 0x15
AT_LEAST: Final = 0x35
ANY_BIT: Final = 0x45
RETURN: Final = 0x06
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000 | errno.EACCES
UNKNOWN: Final = 0x00050000 | errno.ENOSYS

Step = tuple[int, int, int, int]
"""Code, and how many steps are passed over where it holds and where not; its constant."""


def refuse(*, network: bool, programs: bool) -> None:
    """Install a `struct sock_fprog`.

    Raises:
        Missing: this kernel or this machine has none.
    """
    content = program(abi(), os.getpid(), network=network, programs=programs)
    instructions = ctypes.create_string_buffer(content, len(content))
    fprog = struct.pack("HP", len(content) // 8, ctypes.addressof(instructions))
    if LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, fprog, 0, 0) != 0:
        raise Missing(f"seccomp: {os.strerror(ctypes.get_errno())}")


def abi() -> Abi:
    """That of this process: a 32-bit one under a 64-bit kernel is what `arm` describes.

    Raises:
        Missing: as `refuse`.
    """
    if LIBC.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
        raise Missing("seccomp: this kernel was built without it")
    machine, wide = platform.machine(), struct.calcsize("P") == 8
    name = machine if wide else "arm" if machine.startswith(("arm", "aarch64")) else f"32-bit {machine}"
    if name not in ABIS:
        raise Missing(f"seccomp: the system calls of {name} are not known here")
    return ABIS[name]


def program(of: Abi, pid: int, *, network: bool, programs: bool) -> bytes:
    """The filter of a process.

    Args:
        of: the architecture's numbers.
        pid: of the process that may be signalled: itself.
        network: sockets of every family may be opened.
        programs: processes and programs may be started.
    """
    refused = (*of.refused, *_REFUSED_EVERYWHERE)
    steps: list[Step] = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, of.audit_arch),
        (RETURN, 0, 0, REFUSE),
        (LOAD, 0, 0, 0),
        (AT_LEAST, 0, 1, of.foreign),
        (RETURN, 0, 0, REFUSE),
    ]
    steps += _each(refused if programs else (*refused, *of.programs), REFUSE)
    for number in of.own:
        steps += _argument(number, (EQUAL, pid))
    if not programs:
        steps += _each((_CLONE3,), UNKNOWN)
        steps += _argument(of.clone, (ANY_BIT, _CLONE_THREAD))
    if not network:
        steps += _argument(of.socket, (EQUAL, _AF_UNIX), (EQUAL, _AF_NETLINK))
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _each(numbers: tuple[int, ...], verdict: int) -> list[Step]:
    return [step for number in numbers for step in ((EQUAL, 0, 1, number), (RETURN, 0, 0, verdict))]


def _argument(number: int, *allowed: tuple[int, int]) -> list[Step]:
    """The call of this number passes where one of the tests holds for its first argument."""
    tests = [(code, len(allowed) - 1 - at, 0, value) for at, (code, value) in enumerate(allowed)]
    return [
        (EQUAL, 0, len(tests) + 3, number),
        (LOAD, 0, 0, 16),
        *[(code, past + 1, 0, value) for code, past, _, value in tests],
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
