"""The installer's own files: shell, package, roles."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAMS = (
    "deploy/install.sh", "packaging/wheels", "packaging/deb", "packaging/debian/preinst",
    "packaging/debian/postinst",
    "packaging/debian/prerm", "packaging/debian/postrm", "tests/systemd/install",
    "tests/installer/stranger", "tests/installer/hostile", "tests/installer/package", "tests/installer/many",
)  # fmt: skip


def run(*argv: str, folder: Path = ROOT, **environment: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed here")
    return subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_shellcheck_finds_nothing():
    done = run("shellcheck", "-x", *PROGRAMS)
    assert done.returncode == 0, done.stdout


def test_no_part_is_too_long_to_read():
    for part in (ROOT / "deploy/installer").glob("*.sh"):
        assert len(part.read_text(encoding="utf-8").splitlines()) <= 400, part


def test_ansible_reads_the_role(tmp_path):
    home = {"HOME": str(tmp_path), "ANSIBLE_LOCAL_TEMP": str(tmp_path)}
    done = run(
        "ansible-playbook", "-i", "inventory.ini", "--syntax-check", "site.yml",
        folder=ROOT / "deploy/ansible", **home,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("machine", "python", "has", "lacks"),
    [
        ("aarch64", "3.11", {"ai-edge-litert", "ml_dtypes", "numpy<2,>=1.23.2"}, {"numpy<3,>=2"}),
        ("aarch64", "3.13", {"ai-edge-litert", "numpy<3,>=2"}, {"ml_dtypes"}),
        ("armv7l", "3.11", {"numpy<2,>=1.23.2"}, {"ai-edge-litert"}),
    ],
)
def test_requirements_are_those_of_the_other_machine(machine, python, has, lacks):
    done = run(sys.executable, "packaging/requirements.py", "pyproject.toml", machine, python, "operator")
    lines = done.stdout.splitlines()
    assert all(any(line.startswith(one) for line in lines) for one in has), done.stderr or lines
    assert not any(line.startswith(one) for line in lines for one in lacks)
    assert any(line.startswith("cryptography") for line in lines)
    assert not any(line.startswith("shoal") for line in lines)
