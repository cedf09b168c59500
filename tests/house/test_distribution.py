"""What is installed under our names is ours, and what we ask for is what we mean."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


@pytest.mark.parametrize("package", ["agent", "deploy"])
def test_no_other_distribution_owns_our_packages(package):
    try:
        version(PROJECT["name"])
    except PackageNotFoundError:
        pytest.skip("the project is not installed in this environment")
    assert set(packages_distributions().get(package, ())) == {PROJECT["name"]}


def requirements() -> dict[str, list[str]]:
    return {"": PROJECT["dependencies"]} | PROJECT["optional-dependencies"]


def named(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_pycoral_is_never_asked_for():
    """The name belongs to an unrelated program there; the library is looked for by what it can do."""
    assert [extra for extra, wanted in requirements().items() if "pycoral" in map(named, wanted)] == []


def test_every_requirement_has_a_bound():
    """Extras that stand for other extras of the project itself excepted."""
    loose = [
        requirement
        for wanted in requirements().values()
        for requirement in wanted
        if named(requirement) != PROJECT["name"] and not re.search(r"[<>=]", requirement.partition(";")[0])
    ]
    assert loose == []


@pytest.mark.parametrize("folder", ["deploy/monitoring", "models/photographs", "models/efficientnet_lite0"])
def test_an_installation_has_every_file_of_a_folder_that_is_data(folder):
    carried = {
        path.relative_to(ROOT)
        for patterns in PYPROJECT["tool"]["setuptools"]["data-files"].values()
        for pattern in patterns
        for path in ROOT.glob(pattern)
    }
    there = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
    assert there - carried == set()
