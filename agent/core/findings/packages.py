"""Python packages that look right and are not."""

import re
from dataclasses import dataclass
from typing import Final

from agent.core.edgetpu.words import Pycoral
from agent.core.findings.child import Failed, Unanswered, Unstarted, in_words
from agent.core.findings.finding import Facts, Finding, degraded, note, ok
from agent.core.findings.runtime import Versions

_SIZE: Final = re.compile(r"numpy\.dtype size changed.*Expected (\d+) from C header, got (\d+) from PyObject")
"""numpy 2 made `PyArray_Descr` smaller: 96 bytes before, 88 since (raspberrypi/picamera2#1211)."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A module was imported in a child."""


Import = Imported | Unanswered


def numpy_binding(versions: Versions, imports: dict[str, Import]) -> Finding:
    """Whether the camera's packages and numpy fit together.

    Args:
        versions: of what is installed.
        imports: by module, of those that are installed: what came of importing it.
    """
    numpy = versions.get("numpy", "unknown")
    for module, outcome in imports.items():
        sizes = _SIZE.search(outcome.detail) if isinstance(outcome, Failed) else None
        if sizes is not None:
            return _mismatch(module, numpy, built=int(sizes[1]), here=int(sizes[2]))
    for module, outcome in imports.items():
        # A missing module has nothing to do with numpy: the camera's own examination tells. So does that of
        # the runtime where no child can be started.
        if not isinstance(outcome, Imported) and not _beside_the_point(outcome):
            return degraded(
                "numpy.import",
                f"{module} cannot be imported: {in_words(outcome)}",
                f"reinstall it, from apt where it came from there: apt install --reinstall python3-{module}",
                {"module": module},
            )
    fitting = [module for module, outcome in imports.items() if isinstance(outcome, Imported)]
    if not fitting:
        return ok("numpy", f"numpy {numpy}; no camera package is bound to it", {"numpy": numpy})
    return ok("numpy", f"numpy {numpy} fits {', '.join(fitting)}", {"numpy": numpy})


def _beside_the_point(outcome: Unanswered) -> bool:
    if isinstance(outcome, Unstarted):
        return True
    return isinstance(outcome, Failed) and outcome.detail.startswith("No module named")


def _mismatch(module: str, numpy: str, *, built: int, here: int) -> Finding:
    facts: Facts = {"module": module, "numpy": numpy}
    if built > here:
        return degraded(
            "numpy.too-new",
            f"apt's {module} is bound to numpy 1, and pip put numpy {numpy} before it in this environment",
            "pip install 'numpy<2' 'ml_dtypes<0.6', or pip uninstall numpy, so that the system's is used",
            facts,
        )
    return degraded(
        "numpy.too-old",
        f"apt's {module} is bound to numpy 2, and pip put numpy {numpy} before it in this environment",
        "pip uninstall numpy, so that the system's is used, or pip install 'numpy>=2'",
        facts,
    )


def pycoral(found: Pycoral, versions: Versions) -> Finding:
    """What is called pycoral here. It is never needed."""
    version = versions.get("pycoral") or versions.get("pycoral-pi5", "")
    facts: Facts = {"version": version}
    match found:
        case Pycoral.ABSENT:
            return ok("pycoral", "not installed, and not needed: Edge TPUs are used without it")
        case Pycoral.WHOLE:
            return ok("pycoral", f"Coral's own, {version or 'of unknown version'}", facts)
        case Pycoral.FOREIGN:
            return note(
                "pycoral.wrong",
                f"pycoral {version} is an unrelated program of the same name, the one on PyPI",
                "pip uninstall pycoral; Edge TPUs are used without it",
                facts,
            )
        case Pycoral.BROKEN:
            return note(
                "pycoral.broken",
                f"pycoral {version} is incomplete: its native library is no library (pycoral-pi5 is so)",
                "pip uninstall pycoral-pi5 pycoral; Edge TPUs are used without it",
                facts,
            )
