import base64
import gzip
import shutil
import subprocess

import pytest

from agent.wire.topics import DeviceId, Root
from deploy.core.enrolment import access, mosquitto, parcel, passwords
from deploy.core.enrolment.mosquitto import Listening, Upstream
from deploy.core.enrolment.parcel import Parcel

ROOT = Root("shoal/home")


def test_the_password_file_is_what_mosquitto_itself_writes(tmp_path):
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed")
    path = tmp_path / "passwords"
    subprocess.run([tool, "-b", "-c", str(path), "pi-1", "a word"], check=True, capture_output=True)
    (written,) = path.read_text().splitlines()
    _, _, kind, iterations, salt, _ = written.replace(":", "$").split("$")
    assert (kind, int(iterations)) == ("7", passwords.ITERATIONS)
    assert passwords.line("pi-1", "a word", base64.b64decode(salt)) == written


def test_passwords_are_read_back():
    lines = {name: passwords.line(name, name, bytes(12)) for name in ("b", "a")}
    assert passwords.parse(passwords.file(lines)) == lines
    assert list(passwords.parse(passwords.file(lines))) == ["a", "b"]


def test_who_was_expelled_is_denied_everything():
    text = access.access_list(ROOT, [DeviceId("pi-2")])
    assert text.endswith("user pi-2\ntopic deny shoal/home/#\ntopic deny homeassistant/#\n")
    assert "pi-2" not in access.access_list(ROOT, [])


@pytest.mark.parametrize("password_port", [None, 8884])
def test_every_listener_asks_who_it_is(password_port):
    lines = mosquitto.configuration(Listening(password_port=password_port)).splitlines()
    listeners = sum(line.startswith("listener ") for line in lines)
    assert listeners == (1 if password_port is None else 2)
    assert lines.count("allow_anonymous false") == listeners
    assert sum(line.startswith("acl_file ") for line in lines) == listeners
    assert ("per_listener_settings true" in lines) == (password_port is not None)


def test_a_bridge_carries_nothing_down_but_what_is_signed_and_what_is_commanded():
    text = mosquitto.bridge(Upstream("hall", "above", 8883), ROOT, "/etc/x")
    down = [line.split()[1] for line in text.splitlines() if line.startswith("topic") and " in " in line]
    up = [line.split()[1] for line in text.splitlines() if line.startswith("topic") and " out " in line]
    assert down == [
        "shoal/home/meta/+", "shoal/home/target/+", "shoal/home/chunk/+", "shoal/home/device/+/+/command"
    ]  # fmt: skip
    assert all(topic.startswith("shoal/home/device/+/+/") for topic in up)
    assert "shoal/home/device/+/+/status" in up
    assert not any("command" in topic for topic in up)


HARSH = {"a.pem": b"'; rm -rf / #\n$(x)`y`\\", "b": bytes(range(256)), "END": b"END\nEND", "empty": b""}


def _installed(folder, script):
    subprocess.run(
        ["sh"], input=script, env={"PATH": "/usr/bin:/bin", "SHOAL_ETC": str(folder)}, check=True,
        capture_output=True,
    )  # fmt: skip
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_script_brings_every_byte(tmp_path):
    assert _installed(tmp_path / "etc", parcel.script(Parcel("pi", HARSH)).encode()) == HARSH


def test_the_line_to_paste_is_the_script_and_one_line_that_the_shell_forgets():
    line = parcel.paste(Parcel("pi", HARSH))
    assert line.startswith(" ")
    assert "\n" not in line
    packed = line.split()[2]
    assert gzip.decompress(base64.b64decode(packed)).decode() == parcel.script(Parcel("pi", HARSH))


def test_the_configuration_that_was_there_is_kept(tmp_path):
    (tmp_path / "agent.toml").write_bytes(b"by hand")
    found = _installed(tmp_path, parcel.script(Parcel("pi", {"agent.toml": b"new"})).encode())
    assert found == {"agent.toml": b"new", "agent.toml.before": b"by hand"}
