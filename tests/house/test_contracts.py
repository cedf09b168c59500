"""The import contracts break where they should: violations are planted in a copy of the tree."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
]

PLANTED = {
    "agent/wire/planted.py": "import agent.core.update.cohort\nimport numpy\n",
    "agent/core/planted.py": "import socket\nimport deploy.core\n",
    "agent/utils.py": "",
    "agent/adapters/planted_one.py": "import agent.adapters.planted_two\n",
    "agent/adapters/planted_two.py": "",
    "agent/ports/planted_one.py": "import agent.ports.planted_two\n",
    "agent/ports/planted_two.py": "import agent.ports.planted_one\n",
    "deploy/core/planted.py": "import agent.loops\nimport deploy.ports\n",
    "deploy/flows/planted.py": "import tensorflow\n",
}


def verdicts(tree: Path) -> dict[str, str]:
    """Each contract's name, and whether it was kept."""
    child = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tree), "COLUMNS": "300", "PATH": "/usr/bin:/bin"},
        timeout=120,
    )
    found = re.findall(r"^(\S.*?) (KEPT|BROKEN)", child.stdout, re.MULTILINE)
    assert found, child.stdout + child.stderr
    return dict(found)


def test_every_contract_notices_a_violation(tmp_path):
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    for package in ("agent", "deploy"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, source in PLANTED.items():
        (tmp_path / path).write_text(source, encoding="utf-8")
    assert verdicts(tmp_path) == dict.fromkeys(CONTRACTS, "BROKEN")
