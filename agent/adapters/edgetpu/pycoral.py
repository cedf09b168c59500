"""Coral's Python package, where it is really there.

Three programs have this import name: Coral's own, which no index offers for a current Python; on PyPI a
program for the Allen Coral Atlas; and a package whose native part is one byte long. Only what it can do tells
them apart. Nothing here is needed where libedgetpu lists its devices itself.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import Any, Final

from agent.core.edgetpu.words import Bus, Pycoral, Tpu, numbered

_CAPABILITY: Final = "pycoral.utils.edgetpu"
_NATIVE_MIN_BYTES: Final = 4096
"""Less is no shared library."""


def examine() -> Pycoral:
    """Which of them is installed; nothing of it is run."""
    spec = importlib.util.find_spec("pycoral")
    if spec is None:
        return Pycoral.ABSENT
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    native = [file for folder in folders for file in folder.glob("pybind/_pywrap_coral*.so")]
    if not native and not any((folder / "utils/edgetpu.py").exists() for folder in folders):
        return Pycoral.FOREIGN
    whole = any(file.stat().st_size >= _NATIVE_MIN_BYTES for file in native)
    return Pycoral.WHOLE if whole else Pycoral.BROKEN


def devices() -> tuple[Tpu, ...]:
    module = _module()
    listed = [] if module is None else module.list_edge_tpus()
    return numbered((Bus(each["type"]), str(each["path"])) for each in listed)


def version() -> str:
    module = _module()
    return "" if module is None else str(module.get_runtime_version()).rpartition(", ")[2]


def _module() -> Any | None:
    try:
        return importlib.import_module(_CAPABILITY)
    except (ImportError, OSError):
        return None
