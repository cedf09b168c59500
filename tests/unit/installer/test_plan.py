"""What `deploy/install.sh` would do on machines of many kinds; nothing is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
INSTALLER = ROOT / "deploy/install.sh"
BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


class Machine:
    """A folder that the installer reads instead of `/`, and commands that tell what this machine's would."""

    def __init__(self, folder: Path) -> None:
        self.root, self.commands = folder / "root", folder / "bin"
        self.commands.mkdir(parents=True)
        self.file("etc/os-release", BOOKWORM)
        self.file("run/systemd/system/.there", "")
        self.is_a(architecture="arm64", kernel="aarch64", python="3.11", glibc="2.36")

    def file(self, path: str, text: str) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        return place

    def command(self, name: str, body: str) -> None:
        place = self.commands / name
        place.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        place.chmod(0o755)

    def is_a(self, *, architecture: str, kernel: str, python: str, glibc: str) -> None:
        self.command("dpkg", f"echo {architecture}")
        self.command("uname", f"case $1 in -m) echo {kernel};; -n) echo pi-1;; esac")
        self.command("python3", f'case "$2" in *version*) echo {python};; esac')
        self.command("getconf", f"echo glibc {glibc}")
        self.command("dpkg-query", "exit 1")
        self.command("systemctl", "exit 1")

    def has_video(self, name: str, driver: str) -> None:
        self.file("sys/class/video4linux/video0/name", f"{name}\n")
        place = self.root / "sys/class/video4linux/video0/device"
        place.mkdir()
        (place / "driver").symlink_to(f"../../drivers/{driver}")

    def install(self, *options: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": f"{self.commands}:{os.environ['PATH']}",
            "SHOAL_MACHINE": str(self.root),
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.run(
            ["/bin/bash", str(INSTALLER), *options],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    def plan(self, *options: str) -> str:
        done = self.install("--dry-run", "--broker", "mqtt://broker:1883", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, *options: str) -> str:
        done = self.install("--dry-run", "--broker", "mqtt://broker:1883", *options)
        assert done.returncode in {1, 2}, done.stdout
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "kernel", "python", "options", "runtime"),
    [
        ("amd64", "x86_64", "3.11", (), "litert"),
        ("arm64", "aarch64", "3.11", (), "litert"),
        ("arm64", "aarch64", "3.13", (), "litert"),
        ("arm64", "aarch64", "3.11", ("--runtime", "tflite"), "tflite"),
        ("armhf", "armv7l", "3.11", (), "tflite"),
        ("armhf", "aarch64", "3.11", (), "tflite"),
    ],
)
def test_each_machine_gets_the_runtime_that_has_wheels_for_it(
    machine, architecture, kernel, python, options, runtime
):
    machine.is_a(architecture=architecture, kernel=kernel, python=python, glibc="2.36")
    assert f"Python {python}, {runtime}" in machine.plan(*options)


@pytest.mark.parametrize(
    ("architecture", "python", "options", "says"),
    [
        ("armhf", "3.13", (), "no runtime has a wheel for Python 3.13 on armhf"),
        ("armhf", "3.11", ("--runtime", "litert"), "LiteRT has no wheel"),
        ("arm64", "3.13", ("--runtime", "tflite"), "only for Python 3.11"),
        ("arm64", "3.9", (), "Python 3.9, and Shoal needs 3.11"),
    ],
)
def test_a_machine_without_a_runtime_is_refused_with_the_remedy(machine, architecture, python, options, says):
    machine.is_a(architecture=architecture, kernel="aarch64", python=python, glibc="2.36")
    assert says in machine.refusal(*options)


def test_bullseyes_glibc_is_too_old(machine):
    machine.is_a(architecture="arm64", kernel="aarch64", python="3.11", glibc="2.31")
    assert "glibc 2.31, and the runtimes need 2.34" in machine.refusal()


def test_without_systemd_there_is_no_service(machine):
    shutil.rmtree(machine.root / "run")
    assert "systemd does not run here" in machine.refusal()


def test_what_is_no_debian_is_refused_by_its_name(machine):
    machine.file("etc/os-release", 'PRETTY_NAME="Alpine Linux v3.20"\n')
    machine.command("dpkg", "exit 127")
    assert "Alpine Linux v3.20 is no Debian" in machine.refusal()


@pytest.mark.parametrize("name", ["unicam-image", "rp1-cfe-csi2_ch0"])
def test_a_camera_of_the_board_brings_picamera2_and_the_systems_packages(machine, name):
    machine.has_video(name, "unicam")
    plan = machine.plan()
    assert "python3-picamera2" in plan
    assert "beside the system's packages" in plan
    assert "camera of the board" in plan


def test_a_webcam_brings_the_library_for_it(machine):
    machine.has_video("HD Webcam", "uvcvideo")
    plan = machine.plan()
    assert "with camera" in plan
    assert "picamera2" not in plan
    assert "on USB (v4l2)" in plan


def test_what_was_asked_for_counts_before_what_was_found(machine):
    machine.has_video("HD Webcam", "uvcvideo")
    plan = machine.plan("--camera", "pattern")
    assert "with operator\n" in plan
    assert "drawn test pictures" in plan


def test_a_broker_alone_makes_a_fleet_of_one(machine):
    plan = machine.plan()
    assert "make a fleet of its own" in plan
    assert "shoal-serve.service" in plan


def test_a_root_of_trust_makes_it_a_device_of_that_fleet(machine, tmp_path):
    root = tmp_path / "root.json"
    root.write_text("{}", encoding="utf-8")
    plan = machine.plan("--fleet-root", str(root), "--id", "pi-9")
    assert "fleet of its own" not in plan
    assert "pi-9" in plan


def test_the_agents_words_are_said_before_anything_is_done(machine):
    done = machine.install("--broker", "mqtt://broker:1883")
    assert done.returncode == 1
    assert "--yes" in done.stderr or "root" in done.stderr


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--brokr", "x"), 2, "there is no option --brokr"),
        (("instal",), 2, "there is no verb 'instal'"),
        (("--broker",), 2, "--broker needs a value"),
        (("--broker", "http://x"), 2, "looks like mqtt://192.168.1.10:1883"),
        (("--id", "a b"), 2, "letters, digits"),
        (("--web", "8480"), 2, "an address and a port"),
        (("--config", "/nowhere"), 1, "there is no such file"),
        (("--camera", "usb"), 2, "auto, csi, webcam or pattern"),
    ],
)
def test_a_slip_is_one_sentence(machine, options, status, says):
    done = machine.install(*options)
    assert done.returncode == status
    (line,) = done.stderr.splitlines()
    assert says in line


def test_the_folder_of_a_device_may_hold_several_if_one_is_named(machine, tmp_path):
    for name in ("pi-1", "pi-2"):
        (tmp_path / f"{name}.toml").write_text('[device]\nid = "x"\n', encoding="utf-8")
    named = machine.install("--dry-run", "--config", str(tmp_path), "--id", "pi-2")
    assert "pi-2" in named.stdout, named.stderr
    (tmp_path / "pi-1.toml").rename(tmp_path / "pi-3.toml")
    unnamed = machine.install("--dry-run", "--config", str(tmp_path))
    assert "or several" in unnamed.stderr


@pytest.mark.parametrize(
    ("kind", "brings"), [("v4l2", "with camera"), ("picamera2", "python3-picamera2"), ("auto", "with camera")]
)
def test_the_camera_that_given_settings_name_gets_what_it_needs(machine, kind, brings):
    if kind == "auto":
        machine.has_video("USB 2.0 Camera", "uvcvideo")
    machine.file("given/pi-1.toml", f'[device]\nid = "pi-1"\n\n[camera]\nkind = "{kind}"\n')
    assert brings in machine.plan("--config", str(machine.root / "given"))


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://broker", "mqtts://broker:8883", "mqtt://[fe80::1]:1883", "mqtt://anna@broker:1883",
        "mqtt://a:1883, mqtt://b:1884", "mqtt://broker/",
    ],
)  # fmt: skip
def test_a_brokers_address_may_be_written_as_the_device_reads_it(machine, url):
    assert "It will" in machine.plan("--broker", url)


@pytest.mark.parametrize(
    "url", ["banana", "mqtt://", "mqtt://host:port", "mqtt://host:99999", "http://host", "mqtt://a;b"]
)
def test_what_is_no_brokers_address_is_refused_before_anything_is_done(machine, url):
    assert "it looks like mqtt://" in machine.refusal("--broker", url)


def test_a_password_in_a_brokers_address_is_refused_and_not_repeated(machine):
    said = machine.refusal("--broker", "mqtt://anna:secret@host")
    assert "--broker-password-file" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("kind", "says"), [("none", "no such file"), ("folder", "no file"), ("empty", "empty")]
)
def test_a_file_that_holds_nothing_is_refused_at_once(machine, kind, says):
    place = machine.root / "password"
    if kind == "folder":
        place.mkdir()
    elif kind == "empty":
        place.touch()
    assert says in machine.refusal("--broker-password-file", str(place))


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_piped_into_a_shell_it_says_what_it_needs(shell):
    done = subprocess.run([shell], input=INSTALLER.read_bytes(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert b"git clone" in done.stderr


def test_a_look_at_it_installs_nothing_and_names_what_it_lacks(machine):
    machine.command("python3", 'case "$2" in *version*) echo 3.11;; *ensurepip*) exit 1;; esac')
    done = machine.install("--try")
    assert done.returncode == 1
    assert "sudo apt install python3-venv" in done.stderr, done.stderr
