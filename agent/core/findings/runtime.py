"""The TFLite runtime, what it computes with, and the packages that can break it."""

from dataclasses import dataclass
from typing import Final

from agent.core.edgetpu import symptoms
from agent.core.findings.child import (
    UNSTARTED_REMEDY,
    Died,
    Failed,
    Late,
    Unanswered,
    Unstarted,
    in_words,
)
from agent.core.findings.finding import Facts, Finding, degraded, fatal, note, ok
from agent.core.findings.host import Machine
from agent.core.serving.delegate import RuntimeChoice

LITERT: Final = "ai-edge-litert"
TFLITE: Final = "tflite-runtime"
WANTED: Final = {
    RuntimeChoice.AUTO: (LITERT, TFLITE),
    RuntimeChoice.LITERT: (LITERT,),
    RuntimeChoice.TFLITE: (TFLITE,),
}
LITERT_GLIBC: Final = (2, 34)
LITERT_GLIBCXX: Final = (3, 4, 30)
"""What its library asks for; its wheel's tag promises less, so it installs and then does not load."""
TFLITE_PYTHON: Final = (3, 11)
"""The newest for which tflite-runtime has wheels."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A model was loaded and run."""

    runtime: str
    delegate: str
    delegate_reason: str
    median_ms: float
    runs: int


Probe = Computed | Unanswered
Versions = dict[str, str]
"""By distribution; what is not installed is not in it."""


def falls_back(versions: Versions, choice: RuntimeChoice, probe: Probe) -> bool:
    """Whether `auto` took tflite-runtime although LiteRT is installed."""
    computed = isinstance(probe, Computed) and probe.runtime.startswith(TFLITE)
    return computed and choice is RuntimeChoice.AUTO and LITERT in versions


def runtime(
    machine: Machine,
    versions: Versions,
    choice: RuntimeChoice,
    probe: Probe,
    first: Unanswered | None = None,
) -> Finding:
    """
    Args:
        machine: where it runs.
        versions: of what is installed.
        choice: the configuration's.
        probe: what became of a model of a few operators that is part of this program.
        first: what became of it in the runtime that `auto` prefers, where another one took it.
    """
    package = next((each for each in WANTED[choice] if each in versions), None)
    if package is None:
        return _missing(machine, versions, choice)
    facts: Facts = {"package": package, "version": versions[package], "numpy": versions.get("numpy", "")}
    if isinstance(probe, Computed) and first is not None:
        _, cause, remedy = _known_trap(machine, versions, LITERT) or (
            "",
            in_words(first),
            f"reinstall it (pip install --force-reinstall {LITERT}), or uninstall it",
        )
        said = f"{LITERT} {versions[LITERT]} runs no model here, so {probe.runtime} stands in: {cause}"
        return degraded("runtime.fallback", said, remedy, facts)
    if isinstance(probe, Computed):
        return ok("runtime", f"{probe.runtime}, numpy {versions.get('numpy', 'unknown')}", facts)
    if isinstance(probe, Unstarted):
        return fatal("runtime.unstarted", in_words(probe), UNSTARTED_REMEDY, facts)
    known = _known_trap(machine, versions, package)
    said = f"{package} {versions[package]}"
    match known, probe:
        case (name, cause, remedy), _:
            return fatal(name, cause, remedy, facts)
        case None, Died():
            return fatal(
                "runtime.crashed",
                f"{said} does not survive the simplest model: {in_words(probe)}",
                f"reinstall it (pip install --force-reinstall {package}), or choose the other runtime",
                facts,
            )
        case None, Late():
            return fatal(
                "runtime.hung",
                f"{said} gives {in_words(probe)} for the simplest model",
                "look for a failing disk or a machine out of memory (dmesg), then reinstall it",
                facts,
            )
        case None, Failed(detail):
            return fatal(
                "runtime.refused",
                f"{said} does not run the simplest model: {detail}",
                f"reinstall it: pip install --force-reinstall {package}",
                facts,
            )


def _missing(machine: Machine, versions: Versions, choice: RuntimeChoice) -> Finding:
    other = next((each for each in WANTED[RuntimeChoice.AUTO] if each in versions), None)
    if other is not None:
        return fatal(
            "runtime.other",
            f"runtime.kind is {choice.value!r} and only {other} {versions[other]} is installed",
            f"install {WANTED[choice][0]}, or set runtime.kind to 'auto'",
            {"package": other, "version": versions[other]},
        )
    if machine.bits == 64:
        return fatal("runtime.missing", "no TFLite runtime is installed", f"pip install {LITERT}")
    if machine.python <= TFLITE_PYTHON:
        return fatal(
            "runtime.missing",
            "no TFLite runtime is installed",
            f"pip install 'shoal[tflite]', which brings {TFLITE} and a numpy that it works with",
        )
    return fatal(
        "runtime.none-for-32-bit",
        f"no TFLite runtime exists for 32-bit Python {machine.python[0]}.{machine.python[1]}",
        "install the 64-bit Raspberry Pi OS, or use Python 3.11 with tflite-runtime",
    )


def _known_trap(machine: Machine, versions: Versions, package: str) -> tuple[str, str, str] | None:
    """The name, cause and remedy of a known reason why an installed runtime does not run."""
    if package == LITERT and machine.glibc is not None and machine.glibc < LITERT_GLIBC:
        return (
            "runtime.glibc",
            f"{LITERT} needs glibc 2.34 and here is {'.'.join(map(str, machine.glibc))}",
            "upgrade to Raspberry Pi OS bookworm or newer, or install tflite-runtime instead",
        )
    if package == LITERT and machine.glibcxx is not None and machine.glibcxx < LITERT_GLIBCXX:
        return (
            "runtime.libstdcxx",
            f"{LITERT} needs GLIBCXX_3.4.30 and libstdc++ offers {'.'.join(map(str, machine.glibcxx))}",
            "upgrade libstdc++6 (Raspberry Pi OS bookworm has it), or install tflite-runtime instead",
        )
    if package == TFLITE and _major(versions.get("numpy", "")) >= 2:
        return (
            "runtime.numpy",
            f"{TFLITE} is built for numpy 1 and here is {versions['numpy']}: it imports, and no model runs",
            "pip install 'numpy<2'",
        )
    return None


def delegate(probe: Probe) -> Finding | None:
    """Whether XNNPACK takes an integer model over; None where no model ran at all."""
    if not isinstance(probe, Computed):
        return None
    facts: Facts = {"delegate": probe.delegate, "reason": probe.delegate_reason}
    if probe.delegate == "xnnpack":
        return ok("delegate", "XNNPACK computes integer models here", facts)
    if probe.runtime.startswith(TFLITE):
        return note(
            "delegate.integer",
            f"{probe.runtime} computes integer models with its own kernels: its XNNPACK takes float only",
            f"where it installs, {LITERT} computes them with XNNPACK",
            facts,
        )
    return degraded(
        "delegate.none",
        f"{probe.runtime} did not hand an integer model to XNNPACK: {probe.delegate_reason}",
        f"let this user read /sys/devices/system/cpu; else: pip install --force-reinstall {LITERT}",
        facts,
    )


def speed_left(model: str) -> Finding:
    """A model compiled for an Edge TPU that an agent has, or may have."""
    cause = (
        f"{model} is compiled for an Edge TPU, which is left to the agent: its report tells how fast it is"
    )
    return note("speed.in-use", cause, facts={"model": model})


def speed(model: str, probe: Probe | None, *, compiled: bool = False) -> Finding:
    """How fast a real model runs.

    Args:
        model: what it is called.
        probe: what came of running it; None: none is at hand.
        compiled: it is for an Edge TPU.
    """
    if probe is None:
        return note(
            "speed.none", "no model is at hand to measure", "name one: shoal-agent check --model FILE"
        )
    facts: Facts = {"model": model}
    match probe:
        case Computed():
            facts |= {"median_ms": probe.median_ms, "runs": probe.runs, "delegate": probe.delegate}
            return ok(
                "speed", f"{model}: {probe.median_ms:g} ms on {probe.delegate}, median of {probe.runs}", facts
            )
        case Died() if compiled:
            trouble = symptoms.died(in_words(probe))
            return degraded("speed.edgetpu-crashed", f"{model}: {trouble.cause}", trouble.remedy, facts)
        case Unstarted():
            return degraded("speed.unstarted", in_words(probe), UNSTARTED_REMEDY, facts)
        case Late() | Failed() if compiled:
            return degraded(
                "speed.edgetpu",
                f"{model} is compiled for an Edge TPU: {in_words(probe)}",
                "see what is found under edgetpu; while an agent runs, the device is its own",
                facts,
            )
        case Died():
            return degraded(
                "speed.crashed",
                f"{model} kills the runtime: {in_words(probe)}",
                "do not use this file: it is damaged, or meets a fault of this runtime",
                facts,
            )
        case Late() | Failed():
            return degraded(
                "speed.refused", f"{model}: {in_words(probe)}", "use a model that loads here", facts
            )


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdecimal() else 0
