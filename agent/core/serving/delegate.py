"""Which variant of a release a device runs."""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.wire.documents import Delegate, Variant
from agent.wire.reasons import Reason
from agent.wire.topics import Digest

_VERSION: Final = re.compile(r"(?:([A-Za-z][A-Za-z0-9_-]*)\s+)?(\d+(?:\.\d+)*)\S*")
_LITERT: Final = "ai-edge-litert"
_LITERT_HAS: Final[Sequence[tuple[tuple[int, ...], tuple[float, ...]]]] = (
    ((1,), (2, 16, math.inf)),
    ((1, 4), (2, 19, math.inf)),
    ((2,), (2, 20, math.inf)),
    ((2, 1), (2, 21, math.inf)),
    ((2, 2), (math.inf,)),
)
"""A version of LiteRT, and the TensorFlow releases whose operator versions it has all of; asked of the wheels
(see `agent.core.tflite.needs`). 2.2 has more than any TensorFlow."""


class RuntimeChoice(StrEnum):
    AUTO = "auto"
    """LiteRT, or where it is missing, tflite-runtime."""
    LITERT = "litert"
    TFLITE = "tflite"


class DelegateChoice(StrEnum):
    AUTO = "auto"
    """The Edge TPU for a model compiled for it, where one is there and the CPU was not measured faster."""
    CPU = "cpu"
    """No Edge TPU is looked for."""
    EDGETPU = "edgetpu"
    """As `auto`, whatever was measured; a host without one says that it is degraded."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`twin` is the variant for the CPU that stands in for a compiled one."""

    variant: Variant
    reason: str
    twin: Variant | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Reason
    detail: str


def choose(
    variants: Sequence[Variant],
    *,
    edgetpu_present: bool,
    runtime_version: str,
    wanted: DelegateChoice = DelegateChoice.AUTO,
    bad: Collection[Digest] = (),
) -> Choice | Refused:
    """The variant for this device: the compiled one where there is an Edge TPU, else the first for the CPU.

    Variants are in the operator's order of preference. One that needs a newer runtime is passed over, so that
    an Edge TPU with an old runtime still serves from the CPU; so is one that has failed here, as long as
    there is another.

    Args:
        variants: of one release.
        edgetpu_present: whether a device is plugged in.
        runtime_version: as `ai-edge-litert 2.3.0`.
        wanted: `cpu` leaves an Edge TPU alone.
        bad: digests of files that have failed here or were revoked.
    """
    usable = edgetpu_present and wanted is not DelegateChoice.CPU
    kinds = [Delegate.EDGETPU, Delegate.CPU] if usable else [Delegate.CPU]
    possible = [variant for kind in kinds for variant in variants if variant.delegate is kind]
    if not possible:
        lacks = "runtime.delegate is cpu" if edgetpu_present else "there is none here"
        return Refused(
            Reason.NEEDS_EDGETPU,
            f"{_files(variants)}: compiled for an Edge TPU, {lacks}, and there is no CPU variant",
        )
    fit = [variant for variant in possible if runs(variant.minimum_runtime, runtime_version)]
    if not fit:
        needs = ", ".join(f"{variant.file} needs {_needed(variant)}" for variant in possible)
        return Refused(Reason.RUNTIME_TOO_OLD, f"{needs}; this device has {runtime_version or 'none'}")
    sound = [variant for variant in fit if variant.artifact.digest not in bad]
    variant, *others = sound or fit
    if variant.delegate is Delegate.EDGETPU:
        twin = next((other for other in others if other.delegate is Delegate.CPU), None)
        return Choice(variant, "compiled for the Edge TPU, and there is one here", twin)
    return Choice(variant, _why_cpu(variants, fit, usable=usable, wanted=wanted))


def _needed(variant: Variant) -> str:
    why = f" ({variant.runtime_reason})" if variant.runtime_reason else ""
    return f"runtime {variant.minimum_runtime}{why}"


def _files(variants: Sequence[Variant]) -> str:
    return ", ".join(variant.file for variant in variants)


def _why_cpu(
    variants: Sequence[Variant], fit: Sequence[Variant], *, usable: bool, wanted: DelegateChoice
) -> str:
    compiled = any(variant.delegate is Delegate.EDGETPU for variant in variants)
    if wanted is DelegateChoice.CPU:
        return "runtime.delegate is cpu: the CPU variant"
    if not usable:
        return (
            "there is no Edge TPU here: the CPU variant" if compiled else "the CPU variant; no Edge TPU here"
        )
    if any(variant.delegate is Delegate.EDGETPU for variant in fit):
        return "the compiled variant has failed on this device: the CPU variant"
    if compiled:
        return "the compiled variant needs a newer runtime than this: the CPU variant"
    return "there is an Edge TPU here, but no variant compiled for it: compile the model to use it"


def allot(wanted: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
    """Which Edge TPU each pipeline opens: with several of them, pipelines that name none get different ones.

    Args:
        wanted: the device string of each pipeline as configured; empty: any.
        there: all Edge TPUs, as `usb:0`.
    """
    if len(there) < 2:
        return tuple(wanted)
    free = [name for name in there if name not in wanted]
    return tuple(name or (free.pop(0) if free else "") for name in wanted)


def runs(minimum: str | None, runtime_version: str) -> bool:
    """Whether a runtime is at least as new as a variant needs; what cannot be compared is not.

    A minimum is either the version of one runtime (`ai-edge-litert 2.2.0`), or, as TFLite's converter writes
    it, a bare TensorFlow version. LiteRT counts its own from 1.0.
    """
    if minimum is None:
        return True
    needed, found = _VERSION.fullmatch(minimum.strip()), _VERSION.fullmatch(runtime_version.strip())
    if needed is None or found is None:
        return False
    if needed[1] is None and found[1] == _LITERT:
        return _numbers(needed[2]) <= _known_by_litert(_numbers(found[2]))
    if needed[1] is not None and needed[1] != found[1]:
        return False
    return _numbers(found[2]) >= _numbers(needed[2])


def _known_by_litert(version: tuple[int, ...]) -> tuple[float, ...]:
    """The newest TensorFlow whose operators this LiteRT has all of."""
    return max((tensorflow for litert, tensorflow in _LITERT_HAS if litert <= version), default=(0,))


def _numbers(version: str) -> tuple[int, ...]:
    """`2.14` and `2.14.0` are the same."""
    numbers = [int(number) for number in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
