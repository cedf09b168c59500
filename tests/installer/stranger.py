"""What a stranger does with the installer on a fresh machine; runs as root in the container of the rig."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from rigged import (
    ACCOUNTS,
    BROKER,
    DEVICE,
    INSTALLER,
    a_broker,
    changed,
    everything,
    predicts,
    process,
    run,
    say,
    step,
)

CURRENT = Path("/opt/shoal/current")
STATE = Path("/var/lib/shoal")


def a_fresh_machine() -> None:
    """As Debian comes: without what `python3 -m venv` needs. The desk of an operator is made before that."""
    run("python3", "-m", "venv", "/root/desk")
    run(
        "apt-get",
        "-qq",
        "-y",
        "purge",
        "--autoremove",
        "python3-venv",
        f"python3.{sys.version_info.minor}-venv",
    )


def release() -> str:
    return CURRENT.readlink().name


def install(*options: str, status: int = 0, env: Mapping[str, str] | None = None) -> str:
    said = run(INSTALLER, *options, "--yes", status=status, env=env)
    say("".join(f"    {line}\n" for line in said.splitlines()))
    return said


def another_version(name: str, version: str, *, broken: str = "") -> str:
    """A checkout of another version; `broken` is put at the top of the command that the unit runs."""
    folder = Path("/root") / name
    folder.mkdir()
    for part in ("agent", "deploy", "models", "systemd", "pyproject.toml", "README.md", "LICENSE"):
        source = Path("/src") / part
        if source.is_dir():
            shutil.copytree(source, folder / part)
        else:
            shutil.copy(source, folder / part)
    settings = folder / "pyproject.toml"
    settings.write_text(
        settings.read_text("utf-8").replace('version = "0.1.0"', f'version = "{version}"'), "utf-8"
    )
    if broken:
        main = folder / "agent/cli/main.py"
        main.write_text(main.read_text("utf-8") + broken, "utf-8")
    return str(folder)


AT_EVERY_START = "\nraise SystemExit('this version is broken')\n"
WITHOUT_WORKERS = "\nif sys.argv[1:2] == ['worker']:\n    raise SystemExit('no worker today')\n"
ONLY_AS_A_SERVICE = "\nif 'run' in sys.argv:\n    raise SystemExit('this version is broken')\n"


def one_command_brings_predictions() -> None:
    with step("a plan that is not agreed to changes nothing"):
        before = everything()
        assert "--yes" in run(INSTALLER, "--broker", BROKER, status=1)
        run(INSTALLER, "--broker", BROKER, "--dry-run")
        assert everything() == before
    with step("one command with a broker's address, and predictions are heard"):
        install("--broker", BROKER)
        predicts(f"shoal/{DEVICE}", DEVICE)


def the_second_run_changes_nothing() -> None:
    before = process(), release()
    with step("the same command again changes nothing, and restarts nothing"):
        assert "Nothing to do" in install("--broker", BROKER)
        assert (process(), release()) == before


def broken_versions_are_taken_back() -> None:
    before = release()
    with step("a version that does not start is refused before anything is switched"):
        pid = process()
        said = install("--from", another_version("dead", "0.1.1", broken=AT_EVERY_START), status=1)
        assert "this version is broken" in said
        assert (process(), release()) == (pid, before)
    with step("a version whose service dies is taken back by itself"):
        said = install("--from", another_version("dying", "0.1.2", broken=ONLY_AS_A_SERVICE), status=1)
        assert "does not come up: this version is broken" in said, said
        assert release() == before
        assert [path.name for path in Path("/opt/shoal/releases").iterdir()] == [before]
        predicts(f"shoal/{DEVICE}", DEVICE)


def an_upgrade_and_the_way_back() -> None:
    before = release()
    with step("an upgrade keeps the version before, and rollback goes back to it"):
        install("--from", another_version("newer", "0.2.0"))
        assert release().startswith("0.2.0-")
        predicts(f"shoal/{DEVICE}", DEVICE)
        install("rollback")
        assert release() == before
        predicts(f"shoal/{DEVICE}", DEVICE)
        assert "0.2.0" in run(INSTALLER, "status")


def settings_are_changed_and_bad_ones_refused() -> None:
    with step("a setting that does not hold is refused, and the one before stays"):
        text = Path("/etc/shoal/agent.toml").read_text("utf-8")
        said = install("configure", "--topics", "no/#/topic", status=1)
        assert "do not hold" in said, said
        assert Path("/etc/shoal/agent.toml").read_text("utf-8") == text
        predicts(f"shoal/{DEVICE}", DEVICE)


def models_may_stay(before: dict[str, str]) -> None:
    shutil.rmtree("/root/fleet", ignore_errors=True)
    shutil.copytree("/var/lib/shoal-serve/fleet", "/root/fleet")
    with step("uninstall --keep-models leaves the models and nothing else"):
        install("uninstall", "--keep-models")
        after = everything()
        left = {path for path in after if path not in before}
        assert any("/objects/" in path for path in left), left
        assert all(Path(path).is_relative_to(STATE) for path in left), left
        assert {name: after[name] for name in ACCOUNTS} == {name: before[name] for name in ACCOUNTS}


def a_later_installation_goes_on_with_the_models() -> None:
    def objects() -> set[str]:
        return {path.name for path in STATE.rglob("objects/*")}

    with step("a later installation goes on with the models that were kept"):
        kept = objects()
        install("--broker", BROKER)
        predicts(f"shoal/{DEVICE}", DEVICE)
        assert kept <= objects()
        assert {path.owner() for path in STATE.rglob("*")} == {"shoal"}


def nothing_is_left(before: dict[str, str], *options: str) -> None:
    with step(f"uninstall {' '.join(options)} leaves nothing behind"):
        install("uninstall", *options)
        assert not changed(before), changed(before)[:40]


def a_fleet_and_no_internet() -> None:
    """The folder that the operator's command wrote, and a folder of wheels."""
    with step("a folder of wheels is filled"):
        run(
            "/src/packaging/wheels",
            "/root/wheels",
            env={"PYTHON": "/root/desk/bin/python", "EXTRAS": "operator"},
        )
    run(
        "/root/desk/bin/python",
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "-f/root/wheels",
        "shoal[operator]",
    )
    run(
        "/root/desk/bin/shoal",
        "device-config",
        "pi-7",
        "--workspace=/root/fleet",
        "-o",
        "/root/device/pi-7.toml",
    )
    with step("without internet, with the folder of a fleet's operator: predictions"):
        nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
        install("--config", "/root/device", "--wheels", "/root/wheels", env=nowhere)
        predicts(f"shoal/{DEVICE}", "pi-7")


def main() -> None:
    a_broker()
    a_fresh_machine()
    before = everything()
    one_command_brings_predictions()
    the_second_run_changes_nothing()
    broken_versions_are_taken_back()
    an_upgrade_and_the_way_back()
    settings_are_changed_and_bad_ones_refused()
    models_may_stay(before)
    a_later_installation_goes_on_with_the_models()
    models_may_stay(before)
    nothing_is_left(before, "--purge")
    a_fleet_and_no_internet()
    nothing_is_left(before)


if __name__ == "__main__":
    main()
