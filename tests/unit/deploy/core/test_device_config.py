from agent import config
from agent.config import Protocol
from agent.wire.topics import DeviceId
from deploy.core.device_config import DeviceConfig, to_toml


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
    ) == (written.id, written.url, written.root, Protocol.MQTT_5, written.trust, written.stream)


def test_the_commented_lines_are_the_defaults(tmp_path):
    text = to_toml(DeviceConfig(DeviceId("a"), "mqtt://b:1", "shoal/a", "3.1.1", "root.json", "main"))
    path = tmp_path / "a.toml"
    uncommented = [
        line[2:] if line.startswith("# ") and " = " in line else line for line in text.splitlines()
    ]
    words = ("username", "password_file", "ca =", "certificate", "key =", "tags", "folder")
    path.write_text("\n".join(line for line in uncommented if not line.startswith(words)))
    settings = config.read(path)
    assert settings.device.free_floor_mib == config.Device().free_floor_mib
    assert settings.broker.keepalive_s == config.Broker().keepalive_s
    assert settings.camera.rate_fps == config.Camera().rate_fps
    assert (settings.runtime, settings.telemetry) == (config.Runtime(), config.Telemetry())
