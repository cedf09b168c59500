"""Edge TPU and camera, as their own parts have diagnosed them."""

from dataclasses import dataclass

from agent.core.edgetpu.words import Finding as Diagnosis
from agent.core.edgetpu.words import Ready, Trouble
from agent.core.findings.finding import Facts, Finding, degraded, fatal, note, ok

_ABSENT = ("library-missing", "absent")


def edgetpu(pipeline: str, diagnosis: Diagnosis, version: str, *, required: bool, running: bool) -> Finding:
    """
    Args:
        pipeline: whose runtime section it is.
        diagnosis: of the device that the section asks for.
        version: of libedgetpu.
        required: runtime.delegate is 'edgetpu', so a missing one matters.
        running: an agent runs here, and may well have it open.
    """
    facts: Facts = {"pipeline": pipeline, "version": version}
    match diagnosis:
        case Ready(tpus, held_by):
            named = ", ".join(tpu.name for tpu in tpus)
            facts = facts | {"devices": named, "held_by": held_by}
            held = f", open in {held_by}" if held_by else ""
            return ok("edgetpu", f"{named} ({version or 'version unknown'}){held}", facts)
        case Trouble(obstacle, cause, remedy):
            name = f"edgetpu.{obstacle.value}"
            facts = facts | {"obstacle": obstacle.value}
            if running and obstacle.value == "busy":
                return note(name, f"{cause}: the running agent, as a rule", "", facts)
            if obstacle.value in _ABSENT and not required:
                return note(name, f"{cause}; the CPU computes", f"to use one: {remedy}", facts)
            make = fatal if required and obstacle.value not in {"busy", "not-answering"} else degraded
            return make(name, cause, remedy, facts)


@dataclass(frozen=True, slots=True)
class CameraWorks:
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class CameraFails:
    """`crashed`: its library took the process with it."""

    kind: str
    cause: str
    remedy: str
    crashed: bool = False


def camera(pipeline: str, examined: CameraWorks | CameraFails | None) -> Finding:
    """
    Args:
        pipeline: whose camera it is.
        examined: what came of a look through it; None: an agent has it or may have it, so nobody else looked.
    """
    facts: Facts = {"pipeline": pipeline}
    match examined:
        case None:
            return note(
                "camera.in-use",
                f"the camera of pipeline {pipeline} is left to the agent: its report tells how it fares",
                facts=facts,
            )
        case CameraWorks(kind, detail):
            return ok("camera", f"{kind}: {detail}", facts | {"kind": kind})
        case CameraFails(kind, cause, remedy, crashed):
            name = "camera.crashed" if crashed else "camera.fails"
            return fatal(name, f"{kind}: {cause}", remedy, facts | {"kind": kind})
