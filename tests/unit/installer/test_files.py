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
    "tests/installer/odd",
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
        ("armv7l", "3.11", {"numpy<2,>=1.23.2"}, {"ai-edge-litert", "ml_dtypes"}),
    ],
)
def test_requirements_are_those_of_the_other_machine(machine, python, has, lacks):
    done = run(sys.executable, "packaging/requirements.py", "pyproject.toml", machine, python, "operator")
    lines = done.stdout.splitlines()
    assert all(any(line.startswith(one) for line in lines) for one in has), done.stderr or lines
    assert not any(line.startswith(one) for line in lines for one in lacks)
    assert any(line.startswith("cryptography") for line in lines)
    assert not any(line.startswith("shoal") for line in lines)


BUILT = "  error: command 'gcc' failed\n  ERROR: Failed building wheel for msgspec\nERROR: Could not build\n"
SILENT = (
    "ERROR: Could not find a version that satisfies the requirement setuptools>=68 (from versions: none)\n"
)


@pytest.mark.parametrize(
    ("architecture", "log", "says"),
    [
        (
            "armhf", BUILT,
            "msgspec has no wheel for Python 3.11 on armhf and could not be built: let pip read piwheels too",
        ),
        ("arm64", BUILT, "msgspec has no wheel for Python 3.11 on arm64 and could not be built: use Python"),
        ("arm64", SILENT, "its package index cannot be reached; without internet, say --wheels DIR"),
        ("arm64", "ERROR: No space left on device\n", "the disk is full"),
        ("arm64", "WARNING: a\nERROR: No matching distribution found for b\n", "ERROR: No matching"),
    ],
)  # fmt: skip
def test_what_pip_failed_of_is_told_in_a_sentence(tmp_path, architecture, log, says):
    (tmp_path / "pip.log").write_text(log, encoding="utf-8")
    done = run(
        "bash", "-euc", '. deploy/installer/release.sh && pip_fault "$0"', str(tmp_path / "pip.log"),
        opt="", wheels="", architecture=architecture, python_version="3.11",
    )  # fmt: skip
    assert done.stdout.startswith(says), done.stderr
    assert len(done.stdout.splitlines()) == 1
