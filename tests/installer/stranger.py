"""What a stranger does with the installer on a fresh machine; runs as root inside the container of the rig.

Standard library only: the distribution's Python runs it.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

INSTALLER = "/src/deploy/install.sh"
UNIT = "shoal-agent.service"
DEVICE = socket.gethostname()
CURRENT = Path("/opt/shoal/current")
STATE = Path("/var/lib/shoal")
NOT_OURS = (
    "/proc", "/sys", "/dev", "/run", "/tmp", "/src", "/root", "/var/log", "/var/cache", "/var/tmp",
    "/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd", "/var/lib/mosquitto",
)  # fmt: skip
ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")


def run(*argv: str, status: int = 0, env: Mapping[str, str] | None = None) -> str:
    """What it said, on both streams, once it ended as it should."""
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=900,
        stdin=subprocess.DEVNULL, env=None if env is None else {**os.environ, **env},
    )  # fmt: skip
    if done.returncode != status:
        raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}, not {status}: {done.stdout}")
    return done.stdout


def say(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    began_s = time.monotonic()
    yield
    say(f"ok: {name} ({time.monotonic() - began_s:.1f} s)")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


PORT = free_port()
BROKER = f"mqtt://127.0.0.1:{PORT}"


def a_broker() -> None:
    """Such as a stranger has: Mosquitto, without accounts."""
    Path("/etc/rig-broker.conf").write_text(
        f"user root\nlistener {PORT} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8"
    )
    Path("/etc/systemd/system/rig-broker.service").write_text(
        "[Service]\nExecStart=/usr/sbin/mosquitto -c /etc/rig-broker.conf\n", encoding="utf-8"
    )
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "rig-broker.service")


def a_fresh_machine() -> None:
    """As Debian comes: without what `python3 -m venv` needs. The desk of an operator is made before that."""
    run("python3", "-m", "venv", "/root/desk")
    run("apt-get", "-qq", "-y", "purge", "--autoremove", "python3-venv", "python3.11-venv")


def everything() -> dict[str, str]:
    """Every file of the system by its path, and the accounts by what they hold."""
    pruned = [word for folder in NOT_OURS for word in ("-path", folder, "-prune", "-o")]
    # Caches that the system rewrites when it likes, and compiles for itself.
    found = run("find", "/", "-xdev", *pruned, "-not", "-path", "*/__pycache__*", "-print").splitlines()
    paths = {path: "" for path in found if path not in {f"{name}-" for name in ACCOUNTS}}
    return paths | {name: Path(name).read_text(encoding="utf-8") for name in ACCOUNTS}


def predicts(topics: str, device: str, timeout_s: int = 60) -> None:
    """A prediction of this device is heard, with labels."""
    where = ("-h", "127.0.0.1", "-p", str(PORT), "-t", f"{topics}/device/+/{device}/prediction")
    said = json.loads(run("mosquitto_sub", *where, "-C", "1", "-W", str(timeout_s)))
    assert said["predictions"], said


def process() -> str:
    return run("systemctl", "show", "--value", "--property=MainPID", UNIT).strip()


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
    shutil.copytree("/var/lib/shoal-serve/fleet", "/root/fleet")
    with step("uninstall --keep-models leaves the models and nothing else"):
        install("uninstall", "--keep-models")
        after = everything()
        left = {path for path in after if path not in before}
        assert any("/objects/" in path for path in left), left
        assert all(Path(path).is_relative_to(STATE) for path in left), left
        assert {name: after[name] for name in ACCOUNTS} == {name: before[name] for name in ACCOUNTS}


def nothing_is_left(before: dict[str, str], *options: str) -> None:
    with step(f"uninstall {' '.join(options)} leaves nothing behind"):
        install("uninstall", *options)
        after = everything()
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        assert not changed, sorted(changed)[:40]


def a_fleet_and_no_internet() -> None:
    """The folder that the operator's command wrote, and a folder of wheels."""
    with step("a folder of wheels is filled"):
        run("python3", "-m", "venv", "/root/desk")
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
    nothing_is_left(before, "--purge")
    a_fleet_and_no_internet()
    nothing_is_left(before)


if __name__ == "__main__":
    main()
