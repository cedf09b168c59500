"""What is installed in this Python, without importing any of it."""

import importlib.util
from collections.abc import Iterable
from importlib import metadata

from agent.core.findings.runtime import Versions


def versions(distributions: Iterable[str]) -> Versions:
    """Of those that are installed."""
    found = {}
    for distribution in distributions:
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return found


def present(module: str) -> bool:
    """Whether a top-level module of this name would be found."""
    return importlib.util.find_spec(module) is not None
