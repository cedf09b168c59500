"""What the programs of the rig share: running, waiting, hearing, and the list of everything on the machine.

Standard library only: the distribution's Python runs it.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

INSTALLER = "/src/deploy/install.sh"
UNIT = "shoal-agent.service"
DEVICE = socket.gethostname()
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


def changed(before: dict[str, str]) -> list[str]:
    """What is there now and was not, or the other way round, or holds something else."""
    after = everything()
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
