"""An installer that is interrupted, starved and told nonsense; runs as root in the container of the rig."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from rigged import (
    BROKER,
    DEVICE,
    INSTALLER,
    PORT,
    UNIT,
    a_broker,
    changed,
    everything,
    predicts,
    run,
    say,
    step,
)
from stranger import CURRENT, WITHOUT_WORKERS, another_version, release

WHEELS = Path("/root/my wheels")
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
MAKING = Path("/var/lib/shoal-serve/fleet.making")


def refused(*options: str, status: int = 1, env: dict[str, str] | None = None) -> str:
    """The last line of what it said; there is no traceback, and nothing of a shell's own."""
    said = run(INSTALLER, *options, "--yes", status=status, env=env)
    assert "Traceback" not in said, said
    assert not [line for line in said.splitlines() if ": line " in line], said
    last = [line for line in said.splitlines() if line.startswith("install.sh: ") and "undoing" not in line]
    assert len(last) == 1, said
    say(f"    {last[0]}")
    return last[0]


def install(*options: str) -> str:
    return run(INSTALLER, *options, "--yes", env=OFFLINE)


def wheels() -> None:
    """All but Shoal's own are kept between two runs of the rig."""
    kept = Path("/root/.cache/wheels")
    run("python3", "-m", "venv", "/root/desk")
    if not kept.exists():
        run("/src/packaging/wheels", "/root/wheels", env={"PYTHON": "/root/desk/bin/python"})
        shutil.move("/root/wheels", kept)
    shutil.copytree(kept, WHEELS)
    for old in WHEELS.glob("shoal-*.whl"):
        old.unlink()
    source = another_version("checkout", "0.1.0")
    run("/root/desk/bin/pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={WHEELS}", source)


def nonsense_is_refused(before: dict[str, str]) -> None:
    empty = Path("/root/empty")
    empty.touch()
    with step("nonsense is refused in a sentence, and changes nothing"):
        refused("--broker", "banana", status=2)
        refused("--broker", "mqtt://host:notaport", status=2)
        refused("--broker", "mqtt://", status=2)
        refused("--broker", BROKER, "--broker-password-file", "/root")
        refused("--broker", BROKER, "--broker-password-file", "/root/nowhere")
        refused("--broker", BROKER, "--broker-password-file", str(empty))
        refused("--broker", BROKER, "--wheels", str(empty), status=2)
        refused("--broker", BROKER, "--from", "/usr/share/doc")
        refused("--config", "/usr/share/doc")
        refused("rollback")
        refused("configure", "--broker", BROKER)
        assert not changed(before), changed(before)
    with step("piped into a shell it says what it needs, and dash finds bash"):
        text = Path(INSTALLER).read_bytes()
        for shell in ("sh", "bash"):
            done = subprocess.run([shell], input=text, capture_output=True, check=False, timeout=60)
            assert done.returncode == 1, done
            assert b"git clone" in done.stderr, done
        assert "rollback" in run("dash", INSTALLER, "--help")


def want_of_network_and_of_room(before: dict[str, str]) -> None:
    with step("without a network the plan is undone"):
        said = refused(
            "--broker", BROKER, env={**OFFLINE, "PIP_RETRIES": "0", "PIP_CACHE_DIR": "/root/no-cache"}
        )
        assert "--wheels" in said
        assert not changed(before), changed(before)
    with step("a disk that is too small is refused, and one that fills up is as it was"):
        Path("/opt").mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "size=100M", "small", "/opt")
        assert "MiB are free" in refused("--broker", BROKER, "--wheels", str(WHEELS))
        run("mount", "-o", "remount,size=700M", "/opt")
        run("fallocate", "-l", "60M", "/opt/other")
        with grown_meanwhile():
            refused("--broker", BROKER, "--wheels", str(WHEELS))
        assert [path.name for path in Path("/opt").iterdir()] == ["other"], list(Path("/opt").rglob("*"))[:20]
        run("umount", "/opt")
        assert not changed(before), changed(before)


@contextlib.contextmanager
def grown_meanwhile() -> Iterator[None]:
    """Another file takes all the room as soon as pip has begun."""

    def grow() -> None:
        while not list(Path("/opt/shoal/releases").glob("*/bin/python")):
            time.sleep(0.05)
        subprocess.run(["fallocate", "-l", "560M", "/opt/other"], check=False)

    growing = threading.Thread(target=grow, daemon=True)
    growing.start()
    yield
    growing.join(30.0)


def killed(when: Callable[[], object], *options: str) -> bool:
    """SIGKILL for the installer alone once it is so; whether it was still under way."""
    with subprocess.Popen(
        [INSTALLER, *options, "--yes"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, **OFFLINE}, start_new_session=True,
    ) as under_way:  # fmt: skip
        while under_way.poll() is None and not when():
            time.sleep(0.02)
        went_on = under_way.poll() is None
        under_way.send_signal(signal.SIGKILL)
    return went_on


def again_until_alone(*options: str) -> str:
    """What pip of a killed run has begun, it ends; until then another run is refused."""
    until = time.monotonic() + 300
    while True:
        done = subprocess.run(
            [INSTALLER, *options, "--yes"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **OFFLINE},
        )
        if "another run of it is under way" not in done.stderr or time.monotonic() > until:
            break
        time.sleep(1)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kills_at_every_moment(before: dict[str, str]) -> None:
    asked = ("--broker", BROKER, "--wheels", str(WHEELS))
    releases = Path("/opt/shoal/releases")
    moments: dict[str, Callable[[], object]] = {
        "while its files are put": Path("/usr/lib/sysusers.d/shoal.conf").exists,
        "while pip unpacks": lambda: list(releases.glob("*/lib/python3*/site-packages/numpy")),
        "between the switch and its start": Path("/opt/shoal/switching").exists,
        "while the fleet is made": (MAKING / "keys").exists,
        "while the settings are written": Path("/etc/shoal/agent.toml").exists,
    }
    for moment, when in moments.items():
        with step(f"killed {moment}, the next run ends what it began"):
            assert killed(when, *asked), "it had ended"
            if moment == "while pip unpacks":
                assert "another run" in refused(*asked, env=OFFLINE)
        with step("    and it does"):
            again_until_alone(*asked)
            predicts(f"shoal/{DEVICE}", DEVICE)
            assert "Nothing to do" in install(*asked)
            assert not list(Path("/var/tmp").glob("shoal-*"))
        install("uninstall")
        assert not changed(before), changed(before)[:40]


class Heard:
    """When predictions arrived."""

    def __enter__(self) -> Self:
        where = ("-h", "127.0.0.1", "-p", str(PORT), "-t", f"shoal/{DEVICE}/device/+/{DEVICE}/prediction")
        self.instants: list[float] = [time.monotonic()]
        self._process = subprocess.Popen(["mosquitto_sub", *where], stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if json.loads(line)["predictions"]:
                self.instants.append(time.monotonic())

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()

    def longest_silence_s(self) -> float:
        instants = [*self.instants, time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(instants))


def upgrades_that_do_not_hold() -> None:
    install("--broker", BROKER, "--wheels", str(WHEELS))
    predicts(f"shoal/{DEVICE}", DEVICE)
    assert "probation" in run("systemctl", "show", "--value", "--property=StatusText", UNIT)
    before = release()
    with (
        step("a version that starts and does not predict is taken back, at no cost to the model"),
        Heard() as heard,
    ):
        said = run(
            INSTALLER, "--from", another_version("idle", "0.1.5", broken=WITHOUT_WORKERS), "--yes", status=1
        )
        say(f"    {said.strip().splitlines()[-2]}")
        assert release() == before
        predicts(f"shoal/{DEVICE}", DEVICE)
    told = run("journalctl", "--unit", UNIT, "--output=cat")
    assert "reverted" not in told, told[-8000:]
    say(f"    longest silence {heard.longest_silence_s():.1f} s")
    with step("killed between the switch and the restart, the next run starts what it switched to"):
        source = another_version("newer", "0.2.0")
        run("/root/desk/bin/pip", "wheel", "--quiet", "--no-deps", "--wheel-dir=/root/wheel", source)
        newer = ("--from", "/root/wheel/shoal-0.2.0-py3-none-any.whl", "--wheels", str(WHEELS))
        assert killed(Path("/opt/shoal/switching").exists, *newer)
        said = again_until_alone(*newer)
        assert "Nothing to do" not in said, said
        assert release().startswith("0.2.0-")
        assert "0.2.0" in run("/usr/local/bin/shoal-agent", "--version")
        predicts(f"shoal/{DEVICE}", DEVICE)
        assert Path("/opt/shoal/previous").readlink().name == before
    with step("a broker that cannot be reached stops no predictions, and none is claimed"):
        said = install("configure", "--broker", "mqtt://127.0.0.1:9")
        say("    " + "\n    ".join(said.splitlines()))
        install("configure", "--broker", BROKER)
        predicts(f"shoal/{DEVICE}", DEVICE)


def main() -> None:
    a_broker()
    wheels()
    before = everything()
    nonsense_is_refused(before)
    want_of_network_and_of_room(before)
    kills_at_every_moment(before)
    upgrades_that_do_not_hold()
    with step("uninstall leaves nothing behind"):
        assert CURRENT.exists()
        install("uninstall")
        assert not changed(before), changed(before)[:40]


if __name__ == "__main__":
    main()
