"""The configuration file of one device, with the defaults that one may want to change."""

from dataclasses import asdict, dataclass

import msgspec

from agent.wire.topics import DeviceId


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """What differs from device to device; the rest of the file is defaults and words."""

    id: DeviceId
    url: str
    root: str
    protocol: str
    trust: str
    """Path of the root of trust, from the device's point of view."""
    stream: str


def to_toml(config: DeviceConfig) -> str:
    """The file; JSON's strings are TOML's."""
    values = {name: msgspec.json.encode(text).decode() for name, text in asdict(config).items()}
    return _TEMPLATE.format(state_dir=msgspec.json.encode(f"state-{config.id}").decode(), **values)


_TEMPLATE = """\
# Configuration of one Shoal device. Relative paths are relative to this file; commented lines show defaults.

[device]
id = {id}
# Models, signed metadata and the state of updates; must survive a restart.
state_dir = {state_dir}
# tags = ["garden"]
# Free disk that a download must leave, in MiB.
# free_floor_mib = 64

[broker]
url = {url}
root = {root}
# "3.1.1" or "5".
protocol = {protocol}
# username = "device"
# password_file = "broker-password"
# For mqtts:// with a certificate authority of your own, or with certificates for devices:
# ca = "ca.pem"
# certificate = "device.pem"
# key = "device.key"
# keepalive_s = 30

[trust]
# The pinned root of trust: what this fleet's operator signs is believed, and nothing else.
root = {trust}

[update]
stream = {stream}

[camera]
# "pattern" draws test pictures; "replay" shows the photographs in a folder.
kind = "pattern"
# folder = "photographs"
# rate_fps = 10.0

[runtime]
# "auto", "litert" or "tflite".
# kind = "auto"
# 0: the fastest number, measured on the device.
# threads = 0

[telemetry]
# window_s = 10.0
# top = 5
"""
