"""A guest who may do nothing, a locale without UTF-8, a path with spaces, a shell in a folder that goes.

Runs as root in the container of the rig.
"""

import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

from rigged import BROKER, DEVICE, UNIT, a_broker, changed, everything, predicts, run, say, step
from stranger import a_fresh_machine, another_version

GUEST = "guest"
CHECKOUT = Path("/home/guest/my checkout")
EXPOSURE_MAX = 2.0
"""Of 10, as `systemd-analyze security` counts; what is open are cameras, accelerators and the network."""
LATIN = {"LC_ALL": "de_DE.ISO-8859-1", "LANG": "de_DE.ISO-8859-1"}
PLAIN = {"LC_ALL": "C", "LANG": "C"}


def as_guest(*argv: str, status: int = 0) -> str:
    return run("runuser", "-u", GUEST, "--", *argv, status=status)


def a_guest() -> str:
    """Somebody with an account and a checkout in it, and no more; the installer in it."""
    run("useradd", "--create-home", GUEST)
    Path(another_version("checkout", "0.1.0")).rename(CHECKOUT)
    run("chown", "-R", f"{GUEST}:", str(CHECKOUT))
    return str(CHECKOUT / "deploy/install.sh")


def a_guest_changes_nothing(installer: str) -> None:
    before = everything()
    with step("a guest is told what it takes, and sees the plan"):
        assert "install needs root: sudo" in as_guest(installer, "--broker", BROKER, "--yes", status=1)
        assert "It will" in as_guest(installer, "--broker", BROKER, "--dry-run")
        assert "not installed here" in as_guest(installer, "status", status=1)
        assert "apt install python3-venv" in as_guest(installer, "--try", status=1)
    assert not changed(before), changed(before)


def a_look_at_it(installer: str) -> None:
    run("apt-get", "-qq", "-y", "install", "python3-venv")
    before = everything()
    with (
        step("a guest takes a look at it: a page, and nothing is left"),
        subprocess.Popen(
            ["runuser", "-u", GUEST, "--", "env", "PIP_CACHE_DIR=", installer, "--try"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as looking,
    ):
        assert looking.stdout is not None
        url = next((found[0] for line in looking.stdout if (found := re.search(r"http://\S+", line))), None)
        assert url is not None, looking.wait()
        with urllib.request.urlopen(url, timeout=60) as page:
            assert b"<title>" in page.read()
        os.killpg(looking.pid, signal.SIGINT)
        say(f"    {url}; {looking.stdout.read().splitlines()[-3:]}")
    assert not list(Path("/var/tmp").glob("shoal-*"))
    assert not changed(before), changed(before)


def locales() -> None:
    run("apt-get", "-qq", "-y", "install", "locales")
    run("localedef", "-i", "de_DE", "-f", "ISO-8859-1", "de_DE.ISO-8859-1")


def without_utf8(installer: str) -> None:
    with step("from a path with spaces and without UTF-8 it installs, and predictions are heard"):
        said = run(installer, "--broker", BROKER, "--operator", "--yes", env=LATIN)
        say("".join(f"    {line}\n" for line in said.splitlines()[-5:]))
        predicts(f"shoal/{DEVICE}", DEVICE)
        assert "Nothing to do" in run(installer, "--broker", BROKER, "--operator", "--yes", env=PLAIN)
    with step("commands speak in a locale without UTF-8"):
        for env in (LATIN, PLAIN):
            run("runuser", "-u", "shoal", "--", "/usr/local/bin/shoal-agent", "check", env=env)
            run("/usr/local/bin/shoal", "simulate", "--devices", "20", env=env)
    with step("a model's way through the unit is seen by nobody else"):
        as_guest("cat", "/etc/shoal/agent.toml", status=1)
        as_guest("ls", "/var/lib/shoal", status=2)
        as_guest("ls", "/var/lib/shoal-serve", status=2)


def little_is_open() -> None:
    with step(f"systemd counts an exposure of {EXPOSURE_MAX:g} of 10 at most"):
        for unit in (UNIT, "shoal-serve.service"):
            said = run("systemd-analyze", "security", "--no-pager", unit)
            level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
            assert level, said
            say(f"    {level[0]}")
            assert float(level[1]) <= EXPOSURE_MAX, said


def a_shell_in_a_folder_that_goes(installer: str, before: dict[str, str]) -> None:
    with step("uninstalled from within its own folder it leaves nothing, and speaks of nothing else"):
        for line in ("uninstall --yes", "uninstall --yes", "status"):
            script = f'cd /opt/shoal/current/bin && "{installer}" {line}; echo "exit $?"'
            inside = f'"{installer}" {line}; echo "exit $?"'
            said = (
                run("bash", "-c", script) if Path("/opt/shoal").exists() else in_a_folder_that_is_gone(inside)
            )
            say("".join(f"    {one}\n" for one in said.splitlines()[-2:]))
            # Of a folder that has gone bash complains itself, before it reads a line.
            spoken = [one for one in said.splitlines() if not one.startswith("shell-init:")]
            assert not [one for one in spoken if "No such file" in one], said
        assert not changed(before), changed(before)[:40]


def in_a_folder_that_is_gone(script: str) -> str:
    return run("sh", "-c", f"mkdir /tmp/gone && cd /tmp/gone && rmdir /tmp/gone && {script}")


def main() -> None:
    a_broker()
    a_fresh_machine()
    installer = a_guest()
    a_guest_changes_nothing(installer)
    a_look_at_it(installer)
    locales()
    before = everything()
    without_utf8(installer)
    little_is_open()
    a_shell_in_a_folder_that_goes(installer, before)


if __name__ == "__main__":
    main()
