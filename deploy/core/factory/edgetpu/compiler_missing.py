"""`edgetpu_compiler` is not here: what to do about that on this kind of machine."""

from typing import Final

from agent.wire.errors import PortError

_X86: Final = frozenset({"x86_64", "AMD64", "amd64"})


class CompilerMissing(PortError):
    """Another machine has it, or it can be installed."""


def in_words(system: str, machine: str) -> str:
    """
    Args:
        system: as `platform.system()` has it.
        machine: as `platform.machine()` has it.
    """
    if system == "Linux" and machine in _X86:
        return (
            "edgetpu_compiler is not installed: on Debian or Ubuntu add Coral's package repository as "
            "coral.ai/docs/edgetpu/compiler says, then apt install edgetpu-compiler"
        )
    return (
        f"edgetpu_compiler is not installed and there is none for {system or 'this system'} on "
        f"{machine or 'this processor'}, only for Debian and its kin on x86-64: run shoal compile on such a "
        "machine or in a container of one, and bring the _edgetpu.tflite file back"
    )
