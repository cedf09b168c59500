"""What becomes of the installed unit under a real systemd; runs as root inside the container of the rig.

Standard library only: the distribution's Python runs it, the agent has a venv of its own.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

UNIT = "shoal-agent.service"
BROKER = "rig-broker.service"
CONFIG = Path("/etc/shoal/agent.toml")
CREDENTIAL = Path("/etc/credstore/shoal.mqtt_password")
PASSWORD = "rig-password"
FLEET = Path("/root/fleet")
TOPICS = "shoal/rig"
DEVICE = f"{TOPICS}/device/+/rig"
STOP_S = 5.0
WORKER_PATIENCE_S = 10.0
"""After which the supervisor replaces a worker that gives no prediction."""
WATCHDOG_S = 30.0


def run(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=180)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def say(*words: str) -> None:
    sys.stdout.write("\n".join(words) + "\n")
    sys.stdout.flush()


def until(holds: Callable[[], object], timeout_s: float, what: str) -> float:
    """Wait for it; the seconds that it took."""
    began_s = time.monotonic()
    while not holds():
        if time.monotonic() - began_s > timeout_s:
            raise AssertionError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.1)
    return time.monotonic() - began_s


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


OPERATORS_PORT, DEVICES_PORT = free_port(), free_port()


def shown(name: str) -> str:
    return run("systemctl", "show", "--value", f"--property={name}", UNIT).strip()


def supervisor() -> int:
    return int(shown("MainPID"))


def children() -> list[int]:
    path = Path(f"/proc/{supervisor()}/task/{supervisor()}/children")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(pid) for pid in path.read_text().split()]
    return []


def worker() -> int:
    """The worker's process number; 0 while there is none."""
    for pid in children():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"\0worker\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return 0


def journal() -> str:
    return run("journalctl", "--unit", UNIT, "--output=cat", "--no-pager")


def heard(topic: str, timeout_s: float) -> str:
    """One message of this topic; fails if none comes."""
    where = ("-h", "127.0.0.1", "-p", str(OPERATORS_PORT), "-t", topic)
    return run("mosquitto_sub", *where, "-C", "1", "-W", str(int(timeout_s)))


def predicts(timeout_s: float) -> float:
    began_s = time.monotonic()
    assert json.loads(heard(f"{DEVICE}/prediction", timeout_s))["predictions"]
    return time.monotonic() - began_s


def presence() -> str:
    return str(json.loads(heard(f"{DEVICE}/status", 5))["state"])


def write_config(text: str) -> None:
    CONFIG.write_text(text, encoding="utf-8")
    run("systemd-tmpfiles", "--create")


GOOD = f"""
[device]
id = "rig"
state_dir = "/var/lib/shoal"
[broker]
url = "mqtt://127.0.0.1:{DEVICES_PORT}"
root = "{TOPICS}"
username = "device"
[trust]
root = "/etc/shoal/root.json"
timeout_s = 5
[camera]
kind = "replay"
folder = "/usr/share/shoal/photographs"
rate_fps = 10.0
[telemetry]
window_s = 2.0
"""


@contextlib.contextmanager
def step(name: str) -> Iterator[dict[str, float]]:
    took: dict[str, float] = {}
    began_s = time.monotonic()
    yield took
    figures = "".join(f", {what} {seconds:.1f} s" for what, seconds in took.items())
    say(f"ok: {name} ({time.monotonic() - began_s:.1f} s{figures})")


def prepare_broker() -> None:
    """Anonymous for the operator, with a password for the device."""
    folder = Path("/etc/rig-broker")
    folder.mkdir()
    (folder / "passwords").touch(mode=0o600)
    run("mosquitto_passwd", "-b", str(folder / "passwords"), "device", PASSWORD)
    (folder / "broker.conf").write_text(
        "user root\nper_listener_settings true\npersistence true\npersistence_location /var/lib/mosquitto/\n"
        f"listener {OPERATORS_PORT} 127.0.0.1\nallow_anonymous true\n"
        f"listener {DEVICES_PORT} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/passwords\n",
        encoding="utf-8",
    )
    Path(f"/etc/systemd/system/{BROKER}").write_text(
        f"[Service]\nExecStart=/usr/sbin/mosquitto -c {folder}/broker.conf\n", encoding="utf-8"
    )
    run("systemctl", "daemon-reload")
    run("systemctl", "start", BROKER)


def shoal(*arguments: str) -> str:
    return run("/opt/shoal/current/bin/shoal", *arguments)


def a_broken_configuration_is_not_started_again() -> None:
    write_config("[camera]\nkind = 'replai'\n")
    with step("a broken configuration ends with 78 and is not started again"):
        run("systemctl", "start", UNIT, check=False)
        until(lambda: shown("ActiveState") == "failed", 30, "the unit gives up")
        time.sleep(4)
        assert (shown("ExecMainStatus"), shown("NRestarts")) == ("78", "0"), journal()
    run("systemctl", "reset-failed", UNIT)


def a_wrong_password_is_a_dead_broker_and_no_dead_service() -> None:
    write_config(GOOD)
    with step("without its credential the service is up, and says what is wrong"):
        run("systemctl", "start", UNIT)
        assert shown("ActiveState") == "active"
        assert "no model yet" in shown("StatusText"), shown("StatusText")
        until(lambda: "refuses" in journal(), 20, "the refusal in the journal")
        run("systemctl", "stop", UNIT)
    CREDENTIAL.write_text(f"{PASSWORD}\n", encoding="utf-8")
    run("systemd-tmpfiles", "--create")


def the_unit_starts_and_a_release_reaches_it() -> None:
    with step("the unit becomes active without a model, and says so") as took:
        took["ready after"] = timed(lambda: run("systemctl", "start", UNIT))
        assert "no model yet" in shown("StatusText"), shown("StatusText")
        until(lambda: presence() == "online", 20, "online")
    model = "/src/models/efficientnet_lite0"
    with step("a release is pulled, proved and serves") as took:
        shoal(
            "release", f"{model}/efficientnet_lite0_224_uint8.tflite", "--name=rig", "--version=1",
            "--golden=/usr/share/shoal/photographs", f"--labels={model}/labels.txt", f"--workspace={FLEET}",
        )  # fmt: skip
        shoal(
            "rollout", "start", "rig@1", "--waves=all", "--trial-shadow-frames=6",
            "--probation-healthy-windows=1", "--probation-window-frames=8", f"--workspace={FLEET}",
        )  # fmt: skip
        took["first prediction after"] = predicts(90)
        until(lambda: re.search(r"rig 1 on \w+, p95 \d+ ms$", shown("StatusText")), 60, "the status line")
    say(f"    {shown('StatusText')}")


def timed(act: Callable[[], object]) -> float:
    began_s = time.monotonic()
    act()
    return time.monotonic() - began_s


def the_processes_are_caged() -> None:
    with step("supervisor and worker run as shoal, without privileges, the worker in its cage"):
        for pid in (supervisor(), worker()):
            status = dict(
                line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            )
            assert status["Uid"].split()[0] != "0"
            assert (status["NoNewPrivs"], status["Seccomp"], status["CapEff"]) == ("1", "2", "0" * 16), status
        assert "NOTIFY_SOCKET" not in Path(f"/proc/{worker()}/environ").read_text()
    closed = set(re.findall(r"cage\.closed ([^'\"]+)", journal()))
    assert closed == {"files=read-only network=none"}, closed


def the_configuration_is_read_again() -> None:
    before = supervisor(), worker()
    with step("systemctl reload: a new setting holds, a broken file changes nothing, nothing is restarted"):
        write_config(GOOD.replace("window_s = 2.0", "window_s = 1.0"))
        run("systemctl", "reload", UNIT)
        until(lambda: "config.reloaded" in journal(), 10, "the new setting")
        write_config("[camera]\nkind = 'replai'\n")
        run("systemctl", "reload", UNIT)
        until(lambda: "config.refused" in journal(), 10, "the refusal")
        until(lambda: shown("ActiveState") == "active", 10, "active")
        predicts(5)
        assert (supervisor(), worker()) == before
    write_config(GOOD)


def a_killed_worker_is_replaced() -> None:
    before, restarts = (supervisor(), worker()), shown("NRestarts")
    with step("kill -9 of the worker: another one serves, the supervisor stays") as took:
        os.kill(before[1], signal.SIGKILL)
        took["predicts after"] = until(lambda: worker() not in {0, before[1]}, 5, "a new worker") + predicts(
            5
        )
        assert (supervisor(), shown("NRestarts")) == (before[0], restarts)


def a_stopped_worker_is_replaced() -> None:
    before = supervisor(), worker()
    with step("SIGSTOP of the worker: another one serves, the supervisor stays") as took:
        os.kill(before[1], signal.SIGSTOP)
        took["replaced after"] = until(
            lambda: worker() not in {0, before[1]}, WORKER_PATIENCE_S + 5, "a new worker"
        )
        predicts(5)
        assert supervisor() == before[0]


def a_restarted_broker_is_found_again() -> None:
    before = supervisor(), worker()
    with step("the broker is away for ten seconds and comes back: the same processes go on") as took:
        run("systemctl", "stop", BROKER)
        time.sleep(10)
        assert shown("ActiveState") == "active"
        run("systemctl", "start", BROKER)
        until(lambda: subscribed(f"{DEVICE}/status"), 10, "the broker")
        took["predicts after"] = predicts(60)
        until(lambda: presence() == "online", 10, "online")
        assert (supervisor(), worker()) == before


def subscribed(topic: str) -> bool:
    with contextlib.suppress(AssertionError):
        return bool(heard(topic, 2))
    return False


def a_killed_supervisor_takes_its_worker_along() -> None:
    before, restarts = (supervisor(), worker()), int(shown("NRestarts"))
    with step("kill -9 of the supervisor: systemd starts it again, no orphan is left") as took:
        os.kill(before[0], signal.SIGKILL)
        took["active after"] = until(
            lambda: int(shown("NRestarts")) == restarts + 1 and shown("ActiveState") == "active", 40, "active"
        )
        predicts(30)
        assert not Path(f"/proc/{before[1]}").exists()


def a_blocked_supervisor_is_killed_by_the_watchdog() -> None:
    before, restarts = supervisor(), int(shown("NRestarts"))
    with step("SIGSTOP of the supervisor: the watchdog kills it, systemd starts it again") as took:
        os.kill(before, signal.SIGSTOP)
        took["killed after"] = until(
            lambda: not Path(f"/proc/{before}").exists(), WATCHDOG_S + 20, "the watchdog"
        )
        until(lambda: shown("ActiveState") == "active", 40, "active")
        assert int(shown("NRestarts")) == restarts + 1
        assert "Watchdog timeout" in journal()
        predicts(30)


def a_start_with_a_model_is_ready_with_its_first_prediction() -> None:
    with step("with a model on disk, READY comes with the first prediction") as took:
        took["stopped in"] = stops()
        took["ready after"] = timed(lambda: run("systemctl", "start", UNIT))
        assert shown("StatusText").startswith("rig 1 on "), shown("StatusText")
        predicts(5)


def stops() -> float:
    took_s = timed(lambda: run("systemctl", "stop", UNIT))
    assert took_s <= STOP_S, f"it took {took_s:.1f} s to stop"
    assert shown("Result") == "success", shown("Result")
    return took_s


def it_stops_while_the_broker_says_nothing() -> None:
    broker = int(run("systemctl", "show", "--value", "--property=MainPID", BROKER))
    with step("with a broker that neither answers nor closes it stops in time") as took:
        os.kill(broker, signal.SIGSTOP)
        try:
            took["stopped in"] = stops()
        finally:
            os.kill(broker, signal.SIGCONT)
    run("systemctl", "start", UNIT)
    predicts(20)


def it_stops_while_its_worker_hangs() -> None:
    with step("with a worker that hangs it stops in time, and says that it is offline") as took:
        os.kill(worker(), signal.SIGSTOP)
        took["stopped in"] = stops()
        assert presence() == "offline"


def it_stops_cleanly() -> None:
    run("systemctl", "start", UNIT)
    predicts(20)
    with step("it stops within five seconds, and `offline` is retained") as took:
        took["stopped in"] = stops()
        assert presence() == "offline"


def the_journal_is_clean() -> None:
    with step("nobody is shown a traceback"):
        told = journal()
        assert "Traceback" not in told, told
        assert "Failed with result 'timeout'" not in told, told


def main() -> int:
    prepare_broker()
    shoal("init", str(FLEET), f"--broker=mqtt://127.0.0.1:{OPERATORS_PORT}", f"--root={TOPICS}")
    run("sh", "-c", f"cp $(find {FLEET} -name root.json | head -n 1) /etc/shoal/root.json")
    try:
        for act in STORY:
            act()
    except AssertionError as error:
        say(f"FAILED: {error}", journal()[-6000:], run("systemctl", "status", UNIT, check=False))
        return 1
    say(f"{len(STORY)} passed, 0 failed")
    return 0


STORY = (
    a_broken_configuration_is_not_started_again,
    a_wrong_password_is_a_dead_broker_and_no_dead_service,
    the_unit_starts_and_a_release_reaches_it,
    the_processes_are_caged,
    the_configuration_is_read_again,
    a_killed_worker_is_replaced,
    a_stopped_worker_is_replaced,
    a_restarted_broker_is_found_again,
    a_killed_supervisor_takes_its_worker_along,
    a_blocked_supervisor_is_killed_by_the_watchdog,
    a_start_with_a_model_is_ready_with_its_first_prediction,
    it_stops_while_the_broker_says_nothing,
    it_stops_while_its_worker_hangs,
    it_stops_cleanly,
    the_journal_is_clean,
)

if __name__ == "__main__":
    sys.exit(main())
