"""Where the secrets of a fleet stand, and where they do not."""

import re
from pathlib import Path

import pytest

from deploy.cli.main import main

HOST = "broker.test"


@pytest.fixture
def fleet(tmp_path, capsys):
    """A workspace in which everything was done that makes a secret; and all that was said meanwhile."""
    folder, out = tmp_path / "fleet", tmp_path / "out"
    assert main(["init", str(folder), "--broker", f"mqtts://{HOST}"]) == 0
    commands = (
        ["broker-config", "--host", HOST, "--password-port", "8884", "--homeassistant"],
        ["enrol", "pi-1", "--tag", "a"],
        [
            "enrol",
            "pi-2",
            "--password",
            "--broker",
            f"mqtts://{HOST}:8884",
            "--out",
            str(out / "pi-2"),
            "--json",
        ],
        ["enrol", "pi-1", "--keep-keys", "--tag", "b", "--json"],
        ["claims", "new", "--devices", "2", "--out", str(out / "image")],
        ["members"],
        ["members", "--json"],
        ["revoke", "pi-1", "--why", "stolen", "--json"],
        ["history"],
        ["audit", "show"],
        ["audit", "verify", "--json"],
    )
    for each in commands:
        assert main([*each, "--workspace", str(folder)]) == 0, each
        if each[0] == "broker-config":
            names = {"ca": "ca/ca.pem", "certificate": "operator.pem", "key": "operator.key"}
            with (folder / "shoal.toml").open("a") as settings:
                settings.writelines(f'{name} = "keys/{path}"\n' for name, path in names.items())
    assert main(["approver", str(out / "ann.pem")]) == 0
    said = capsys.readouterr()
    return folder, out, said.out + said.err


def _files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def _secrets(folder: Path, out: Path) -> set[str]:
    """What nobody else may have: halves of key pairs, seals, tokens, passwords."""
    found: set[str] = set()
    for path in _files(folder, out):
        content = path.read_bytes().decode(errors="replace")
        for body in re.findall(r"PRIVATE KEY-----\n(.+?)\n-----END", content, re.DOTALL):
            found.add(body.splitlines()[0])
        if path.suffix == ".seal" or path.name in {
            "seal.key",
            "claim.token",
            "password",
            "homeassistant.password",
        }:
            found.add(max(content.split(), key=len))
    return found


def test_secrets_stand_in_files_of_their_owner_alone_and_nowhere_else(fleet):
    folder, out, said = fleet
    secrets = _secrets(folder, out)
    assert len(secrets) >= 16
    holding = [
        path
        for path in _files(folder, out)
        if any(each in path.read_text(errors="replace") for each in secrets)
    ]
    assert {oct(path.stat().st_mode & 0o777) for path in holding} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in (folder, folder / "keys")} == {"0o700"}
    assert not [path for path in holding if path.is_relative_to(folder / "repository")]
    assert folder / "ledger.sqlite" not in holding
    assert [each for each in secrets if each in said] == []
