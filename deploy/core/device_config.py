"""The configuration file of one device, with the defaults that one may want to change."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

import msgspec

from agent.wire.topics import DeviceId


class CameraKind(StrEnum):
    """Those of the device's cameras that need no second setting beside their kind."""

    PATTERN = "pattern"
    AUTO = "auto"
    PICAMERA2 = "picamera2"
    V4L2 = "v4l2"


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
    camera: CameraKind = CameraKind.PATTERN
    state_dir: str = ""
    """Empty: a folder of the device's name beside the file."""
    tags: tuple[str, ...] = ()
    seal_key_file: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    username: str = ""
    password_file: str = ""
    subscribe_qos: int = 1
    listen: str = "127.0.0.1:8480"
    """Of the device's page."""


_NEWLINE: Final = "\n"
_WHERE_GIVEN: Final = ("tags", "seal_key_file", "ca", "certificate", "key", "username", "password_file")
"""Keys that the template shows commented."""


def to_toml(config: DeviceConfig) -> str:
    """The file; JSON's strings and lists are TOML's."""
    values = {name: msgspec.json.encode(value).decode() for name, value in asdict(config).items()}
    if not config.state_dir:
        values["state_dir"] = msgspec.json.encode(f"state-{config.id}").decode()
    text = _TEMPLATE.format(**values)
    for name in _WHERE_GIVEN:
        if getattr(config, name):
            before, _, after = text.partition(f"\n# {name} = ")
            text = f"{before}\n{name} = {values[name]}\n{after.partition(_NEWLINE)[2]}"
    return text


def factory_toml(config: DeviceConfig, *, token_file: str, enrolment_key: str) -> str:
    """The file of an image for many devices: each of them claims an id of its own. The id given here is
    nobody's.
    """
    token, key = (msgspec.json.encode(path).decode() for path in (token_file, enrolment_key))
    named = f"\nid = {msgspec.json.encode(config.id).decode()}\n"
    claim = (
        f"\n[claim]\n# The device asks the fleet for its id.\ntoken_file = {token}\nenrolment_key = {key}\n"
    )
    return to_toml(config).replace(named, "\n") + claim


_TEMPLATE = """\
# Configuration of one Shoal device; `shoal-agent check` shows what applies, and examines the machine.
# Relative paths are relative to this file. Commented lines show defaults, but for those marked as examples.
# SIGHUP (systemctl reload shoal-agent) takes over what changed in emission, thermal, commands, web and log,
# and the keys window_s and drain_per_s; all else needs a restart.

[device]
id = {id}
# Models, signed metadata and the state of updates; must survive a restart.
state_dir = {state_dir}
# tags = []
# Free disk that a download must leave, in MiB.
# free_floor_mib = 64
# What reports are sealed with; without one, the service manager's credential seal_key is taken.
# seal_key_file = "seal.key"  # example

[broker]
# Several that bear the same fleet: with commas between them.
url = {url}
root = {root}
# "3.1.1" or "5".
protocol = {protocol}
# The password stands alone in its file; without one, the service manager's credential mqtt_password is taken.
# username = "device"  # example
# password_file = "broker-password"  # example
# For mqtts:// with a certificate authority of your own, or with certificates for devices:
# ca = "ca.pem"  # example
# certificate = "device.pem"  # example
# key = "device.key"  # example
# keepalive_s = 30
# How often the device says that it is there; after three times that it was not heard it counts as gone.
# beat_s = 300.0
# 0 for a NATS cluster.
subscribe_qos = {subscribe_qos}

[trust]
# The pinned root of trust: what this fleet's operator signs is believed, and nothing else.
root = {trust}
# timeout_s = 20.0

[update]
stream = {stream}
# How often the signed metadata is read even if nothing announced a change.
# recheck_s = 3600.0
# How fast it downloads at most, in bytes a second; 0: as fast as the line.
# rate_bytes_s = 0.0
# When an update may begin, in UTC, such as "mon-fri 02:00-05:00"; none: at any time.
# windows = []
# Nothing is begun while this file is there; empty: veto in the state folder.
# veto_file = ""
# "asked": a release waits until somebody accepts it on the device's page, in Home Assistant, or with
# shoal-agent accept.
# accept = "auto"

[camera]
# "auto" takes the first that works: picamera2, then a webcam; "picamera2"; "v4l2" (a webcam);
# "file" (a video, in a loop); "rtsp" (a network camera); "replay" (photographs in a folder);
# "pattern" (drawn test pictures); "shared" (the camera of another pipeline).
kind = {camera}
# "v4l2": a path, "picamera2": its number; empty: the first there is.
# device = ""
# url = "rtsp://camera.local:554/stream"  # example
# file = "film.mp4"  # example
# folder = "photographs"  # example
# Frames a second; 0: as often as the model is free.
# rate_fps = 10.0
# Where the camera can scale by itself (picamera2), the model's own size is the cheapest.
# width_px = 640
# height_px = 480
# Clockwise: 0, 90, 180 or 270.
# rotate_deg = 0
# "picamera2": only frames exposed after they were asked for; costs frames per second.
# fresh = false
# Classify one frame of so many.
# every_nth = 1

[runtime]
# "auto", "litert" or "tflite".
# kind = "auto"
# 0: the fastest number, measured on the device.
# threads = 0
# "auto" takes the Edge TPU for a model compiled for it, unless the CPU was measured faster; "cpu"; "edgetpu".
# delegate = "auto"
# edgetpu_library = "libedgetpu.so.1"
# "usb", "pci", "usb:1", ...; empty: the first there is.
# edgetpu_device = ""
# "low", "medium", "high" or "max".
# edgetpu_performance = "max"

[emission]
# Which predictions are published: "every", or at a "change" of what is seen.
# mode = "every"
# 0: no limit.
# at_most_per_s = 0.0
# Publish at least this often; 0: never for that reason.
# heartbeat_s = 60.0
# A best score below it is not published.
# floor = 0.0
# "change": by how much a new label's score must lead the published label's.
# hysteresis = 0.1
# Scores are averaged over this many frames.
# smoothing_frames = 1

[telemetry]
# window_s = 10.0
# Ranked labels in a prediction.
# top = 5

[thermal]
# The SoC temperature from which fewer frames are classified; 0: never.
# step_down_at_c = 80.0
# step_up_below_c = 72.0
# floor_fps = 1.0

[outbox]
# What waits on disk while the broker is away: events always, predictions if asked for.
# max_mib = 16
# predictions = false
# drain_per_s = 50.0

[commands]
# The operator's signed commands.
# enabled = true
# per_minute = 12

[web]
# The device's page, and /metrics for Prometheus; nothing: neither.
listen = {listen}
# Needed for an address that others can reach, such as "0.0.0.0:8480"; without one, the service manager's
# credential web_password is taken. A program sends it as a bearer token.
# password_file = "web-password"  # example
# A reverse proxy in front of it, by its address: it is believed whom it brings, and whether by https.
# proxy = "127.0.0.1"  # example
# For https:
# certificate = "page.pem"  # example
# key = "page.key"  # example

[homeassistant]
# The device announces itself to a Home Assistant on its broker.
# enabled = false
# prefix = "homeassistant"
# In the topic of the announcement; empty: the device's id.
# object_id = ""
# name = ""
# area = ""
# The device's page, as a browser in the house reaches it.
# url = ""
# Between two pictures; 0: none leaves the device.
# frame_every_s = 10.0

[log]
# verbose = false

# A further camera and model, with a rollout stream and topics of their own. What is not given in a runtime or
# emission section of its own is taken from above; a camera never is.
# [pipeline.side]  # example
# stream = "side"  # example
# camera = {{ kind = "shared", of = "main", every_nth = 10 }}  # example
# runtime = {{ edgetpu_device = "usb:1" }}  # example
# emission = {{ mode = "change" }}  # example
"""
