# ruff: noqa: INP001 -- a program of the build, no package
"""Prints what the distribution requires on a machine of another kind, one requirement a line.

pip evaluates markers for the machine that it runs on, whatever `--platform` says.
"""

import sys
import tomllib
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement


def required(pyproject: Path, machine: str, python_version: str, extras: list[str]) -> list[str]:
    """Without markers; extras of the distribution itself are resolved.

    Args:
        pyproject: The distribution's `pyproject.toml`.
        machine: As `platform.machine()` says there.
        python_version: Such as `3.13`.
        extras: Names of optional dependencies.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    there = {"platform_machine": machine, "python_version": python_version}
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    wanted = [Requirement(line) for line in lines]
    return [
        f"{one.name}{one.specifier}"
        for one in wanted
        if one.name != project["name"] and (one.marker is None or one.marker.evaluate(there))
    ]


if __name__ == "__main__":
    _, file, machine, version, *extras = sys.argv
    sys.stdout.write("\n".join(required(Path(file), machine, version, extras)) + "\n")
