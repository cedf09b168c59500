"""What libedgetpu, the dynamic linker and the runtimes say of an Edge TPU, and what that means."""

import re
from typing import Final

from agent.core.edgetpu.words import Obstacle, Trouble

INSTALL: Final = (
    "install a libedgetpu1-std package built for TensorFlow 2.19 (16.0TF2.19.1) or name the file with "
    "runtime.edgetpu_library"
)
ABI_REMEDY: Final = (
    "libedgetpu of Coral's own repository (16.0) works with no runtime after TensorFlow 2.11: install one "
    "built for TensorFlow 2.19 (16.0TF2.19.1)"
)
REPLUG: Final = "unplug it, wait, and plug it into a USB 3 port that gives 900 mA"
SEVERAL: Final = ", "
_OLD: Final = re.compile(
    r"requires runtime version \((\d+)\), which is newer than this runtime version \((\d+)\)"
)
_NEEDS: Final = re.compile(r"version `(?P<symbol>[A-Za-z]+_[0-9.]+)' not found")
_LOST: Final = re.compile(r"^F (?:driver|\S*/driver)/\S+:\d+\] (?P<what>.*)")


def refusal(text: str, version: str, runtime: str) -> Trouble | None:
    """What a runtime means that refuses a model with an open Edge TPU; None: it is the model's own fault.

    Args:
        text: of the runtime's exception.
        version: of libedgetpu.
        runtime: name and version.
    """
    old = _OLD.search(text)
    if old is not None:
        return Trouble(
            Obstacle.LIBRARY_OLD,
            f"the model is compiled for Edge TPU runtime {old[1]}, and this libedgetpu has {old[2]}",
            f"install a newer libedgetpu, or compile the model with --min_runtime_version {old[2]}",
        )
    if "Unsupported data type in custom op handler" in text:
        return mismatch(f"libedgetpu ({version}) does not understand the tensors of {runtime}")
    return None


def mismatch(cause: str) -> Trouble:
    return Trouble(Obstacle.ABI_MISMATCH, cause, ABI_REMEDY)


def died(how: str) -> Trouble:
    """Why a process ended that looked for Edge TPUs or used one.

    Args:
        how: `killed by SIGSEGV`, say, or the last words of the library.
    """
    if "SIGSEGV" in how or "SIGBUS" in how or "SIGILL" in how:
        return mismatch(f"libedgetpu crashed the process that opened it ({how})")
    return Trouble(Obstacle.NOT_ANSWERING, f"the Edge TPU failed ({how})", REPLUG)


def linking(library: str, text: str) -> Trouble:
    """Why the dynamic linker does not load a library.

    Args:
        library: its name or path.
        text: of the linker, such as `libusb-1.0.so.0: cannot open shared object file: No such file or
            directory`; it names the file that it means. Source: glibc, elf/dl-load.c.
    """
    if "libusb" in text.partition(":")[0] and "cannot open" in text:
        return Trouble(Obstacle.LIBUSB_MISSING, f"{library} needs {text}", "apt install libusb-1.0-0")
    if "cannot open shared object file" in text:
        missing = text.partition(":")[0].strip()
        if missing == library:
            return Trouble(Obstacle.LIBRARY_MISSING, f"{library} is not installed", INSTALL)
        return Trouble(
            Obstacle.LIBRARY_UNUSABLE,
            f"{library} needs {missing}, which is not installed",
            f"install {missing}",
        )
    needs = _NEEDS.search(text)
    if needs is not None:
        return Trouble(
            Obstacle.LIBRARY_UNUSABLE,
            f"{library} is built for a newer system than this ({needs['symbol']})",
            "install the package that is built for this release of the operating system",
        )
    return Trouble(Obstacle.LIBRARY_UNUSABLE, f"{library} is no library for this machine ({text})", INSTALL)


def not_a_delegate(library: str, symbol: str) -> Trouble:
    return Trouble(
        Obstacle.NOT_A_DELEGATE, f"{library} is a library, but no Edge TPU delegate (no {symbol})", INSTALL
    )


def lost(line: str) -> str | None:
    """What libedgetpu wrote before it aborted its process; None for any other line.

    Such a line is `F driver/usb/usb_driver.cc:857] transfer on tag 2 failed. Abort. ...`: a device that was
    unplugged, or browned out. Source: google-coral/edgetpu issues 11, 297, 413.
    """
    found = _LOST.match(line)
    return None if found is None else found["what"]


def last_cry(said: str) -> str | None:
    """The first such line of all that a process wrote; None where there is none."""
    return next((what for what in map(lost, said.splitlines()) if what), None)
