"""Python packages that look right and are not."""

import re
from dataclasses import dataclass
from typing import Final

from agent.core.findings.child import Failed, Unanswered, in_words
from agent.core.findings.finding import Finding, degraded, note, ok
from agent.core.findings.runtime import Versions

_SIZE: Final = re.compile(r"numpy\.dtype size changed.*Expected (\d+) from C header, got (\d+) from PyObject")
"""numpy 2 made `PyArray_Descr` smaller: 96 bytes before, 88 since (raspberrypi/picamera2#1211)."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A module was imported in a child; `capable` where it also offers what it is wanted for."""

    capable: bool = True


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
        if not isinstance(outcome, Imported):
            return degraded(
                "numpy.import",
                f"{module} cannot be imported: {in_words(outcome)}",
                f"reinstall it, from apt where it came from there: apt install --reinstall python3-{module}",
                {"module": module},
            )
    if not imports:
        return ok("numpy", f"numpy {numpy}; no camera package is bound to it", {"numpy": numpy})
    return ok("numpy", f"numpy {numpy} fits {', '.join(imports)}", {"numpy": numpy})


def _mismatch(module: str, numpy: str, *, built: int, here: int) -> Finding:
    facts: dict[str, str | int | float | bool] = {"module": module, "numpy": numpy}
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


def pycoral(versions: Versions, outcome: Import | None) -> Finding:
    """What is called pycoral here; `outcome` None: nothing is. It is never needed."""
    if "pycoral-pi5" in versions:
        return note(
            "pycoral.pi5",
            f"pycoral-pi5 {versions['pycoral-pi5']} is a broken package: its library is one byte long",
            "pip uninstall pycoral-pi5; Edge TPUs are used without it",
        )
    if outcome is None:
        return ok("pycoral", "not installed, and not needed: Edge TPUs are used without it")
    version = versions.get("pycoral", "")
    match outcome:
        case Imported(capable=True):
            return ok("pycoral", f"pycoral {version} is Coral's", {"version": version})
        case Imported():
            return note(
                "pycoral.wrong",
                f"pycoral {version} from PyPI is an unrelated program that has the same name",
                "pip uninstall pycoral; Edge TPUs are used without it",
                {"version": version},
            )
        case _:
            return note(
                "pycoral.broken",
                f"pycoral {version} cannot be imported: {in_words(outcome)}",
                "pip uninstall pycoral; Edge TPUs are used without it",
                {"version": version},
            )
