"""The operator's own Python: `module:function`, found from the folder that the command was given in."""

import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from agent.wire.errors import AgentError
from deploy.core.factory import extras
from deploy.core.refusal import Refused


def find(place: str) -> Callable[..., Any]:
    """
    Args:
        place: `module:function`, or `module:object.attribute`.

    Raises:
        Refused: there is no such module or function, or the module fails; says in which line.
    """
    module, _, name = place.partition(":")
    here = os.getcwd()  # noqa: PTH109 - an entry of sys.path is text
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module.partition(".")[0]:
            raise Refused(
                f"{place}: there is no module {error.name} in {here}: start from its folder"
            ) from error
        raise _failed(place, error) from error
    except Exception as error:  # the module is the operator's own and may raise anything
        raise _failed(place, error) from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise Refused(f"{place}: module {module} has no function {name}: name one that it has")
    function: Callable[..., Any] = found
    return function


def call(place: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """
    Raises:
        Refused: the function fails; says in which line.
    """
    try:
        return function(*arguments)
    except Exception as error:  # the function is the operator's own and may raise anything
        raise _failed(place, error) from error


def module_file(place: str) -> Path | None:
    """Of a function that was found; None where its module has no file."""
    name = getattr(sys.modules.get(place.partition(":")[0]), "__file__", None)
    return None if name is None else Path(name)


def _failed(place: str, error: Exception) -> AgentError:
    if isinstance(error, AgentError):
        return error
    here = os.getcwd()  # noqa: PTH109 - frames carry text
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename.startswith(here + os.sep)] or frames[-1:]
    last = theirs[-1]
    said = " ".join(str(error).split())[:300]
    where = f"{last.filename.removeprefix(here + os.sep)}, line {last.lineno}"
    remedy = extras.missing(error.name or "") if isinstance(error, ModuleNotFoundError) else None
    why = remedy or f"{type(error).__name__}{f': {said}' if said else ''}"
    return Refused(f"{place} fails in {where}: {why}")
