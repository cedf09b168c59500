import re
from dataclasses import replace

import pytest

from agent import config
from agent.wire.topics import DeviceId, MqttVersion
from deploy.core.device_config import CameraKind, DeviceConfig, to_toml


def test_a_device_reads_what_the_operator_wrote(tmp_path):
    written = DeviceConfig(
        id=DeviceId("pi-1"),
        url="mqtts://broker:8883",
        root="shoal/garden",
        protocol="5",
        trust='/a "quoted" path/root.json',
        stream="beta",
    )
    path = tmp_path / "pi-1.toml"
    path.write_text(to_toml(written))
    settings = config.read(path)
    assert (
        settings.device.id,
        settings.broker.url,
        settings.broker.root,
        settings.broker.protocol,
        settings.trust.root,
        settings.update.stream,
    ) == (written.id, written.url, written.root, MqttVersion.MQTT_5, written.trust, written.stream)


PLAIN = DeviceConfig(DeviceId("a"), "mqtts://b:1", "shoal/a", "3.1.1", "root.json", "main")
EXAMPLE = "  # example"


def _read(folder, text):
    path = folder / "a.toml"
    path.write_text(text)
    return config.read(path)


def _uncommented(line):
    return line.removeprefix("# ") if re.match(r"# (\[|[a-z_]+ = )", line) else line


def test_the_commented_lines_are_the_defaults(tmp_path):
    text = to_toml(PLAIN)
    lines = [line if line.endswith(EXAMPLE) else _uncommented(line) for line in text.splitlines()]
    assert lines != text.splitlines()
    assert _read(tmp_path, "\n".join(lines)) == _read(tmp_path, text)


def test_every_key_is_shown(tmp_path):
    settings = _read(tmp_path, to_toml(PLAIN))
    shown = _every_line(to_toml(PLAIN))
    for section, keys in shown.items():
        known = set(getattr(settings, section).__struct_fields__)
        assert known - {"of"} == keys, section
    assert set(shown) == set(settings.__struct_fields__) - {"pipeline", "claim"}


def _every_line(text):
    """The keys of each section, commented or not."""
    shown: dict[str, set[str]] = {}
    section = ""
    for line in map(_uncommented, text.splitlines()):
        if line.startswith("[pipeline"):
            break
        if line.startswith("["):
            section = line.strip("[]")
            shown[section] = set()
        elif " = " in line and not line.startswith("#"):
            shown[section].add(line.partition(" = ")[0])
    return shown


def test_the_examples_are_possible(tmp_path):
    """All at once: the device they describe can be."""
    text = "\n".join(map(_uncommented, to_toml(PLAIN).splitlines()))
    settings = _read(tmp_path, text)
    main, side = config.pipelines(settings)
    assert (side.stream, side.camera.of, side.runtime.edgetpu_device) == ("side", main.name, "usb:1")
    assert settings.broker.username == "device"


def test_no_line_is_longer_than_a_terminal_shows():
    assert max(map(len, to_toml(PLAIN).splitlines())) <= 110


@pytest.mark.parametrize("kind", CameraKind)
def test_a_kind_of_camera_that_can_be_asked_for_is_enough_for_the_device(tmp_path, kind):
    assert _read(tmp_path, to_toml(replace(PLAIN, camera=kind))).camera.kind == kind
