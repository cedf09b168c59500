"""Every key of the device's one TOML file, with its default and unit."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.core.serving.delegate import DelegateChoice, RuntimeChoice
from agent.core.telemetry.emission import EmissionMode
from agent.wire.topics import MqttVersion

Rate = Annotated[float, Meta(ge=0.0, le=1000.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0, le=86_400.0)]
Given = Annotated[str, Meta(min_length=1)]
Segment = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
        description="1 to 64 letters, digits, dots, dashes or underscores, the first one a letter or a digit",
    ),
]
TpuDevice = Annotated[
    str,
    Meta(
        pattern=r"\A(|:\d+|usb(:\d+)?|pci(:\d+)?)\Z",
        description="usb, pci, usb:1, pci:0, ..., or nothing for the first there is",
    ),
]


class CameraKind(StrEnum):
    AUTO = "auto"
    """The first that works: picamera2, then a V4L2 webcam."""
    PICAMERA2 = "picamera2"
    V4L2 = "v4l2"
    FILE = "file"
    """A video file, in a loop."""
    RTSP = "rtsp"
    REPLAY = "replay"
    PATTERN = "pattern"
    SHARED = "shared"
    """The frames of another pipeline's camera."""


class Performance(StrEnum):
    """Clock of an Edge TPU. `max` is what the library was built for: libedgetpu1-std keeps a USB stick at
    `high`, for rooms of up to 35 degrees; libedgetpu1-max does not, for up to 25.
    """

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    MAX = "max"


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Device(Section, frozen=True, kw_only=True):
    id: str = ""
    """Empty: the host's name."""
    state_dir: Given = "state"
    tags: tuple[str, ...] = ()
    free_floor_mib: Annotated[int, Meta(ge=0, le=1_048_576)] = 64
    """Free disk that a download must leave."""
    seal_key_file: str = ""
    """What reports are sealed with, from `shoal enrol`. Empty: the service manager's credential `seal_key`,
    where there is one."""


class Claim(Section, frozen=True, kw_only=True):
    """Of a factory image, from `shoal claims new`: the device has no id yet, and asks the fleet for one. What
    it was given stands in the state folder from then on, and counts instead of `device.id`, `device.tags`,
    `device.seal_key_file`, `broker.certificate` and `broker.key`.
    """

    token_file: str = ""
    enrolment_key: str = ""
    """The fleet's, in PEM."""


class Broker(Section, frozen=True, kw_only=True):
    url: str = "mqtt://127.0.0.1:1883"
    """Several that bear the same fleet: with commas between them. One at a time is used."""
    protocol: MqttVersion = MqttVersion.MQTT_3_1_1
    root: str = "shoal/default"
    username: str = ""
    password_file: str = ""
    """Empty: the service manager's credential `mqtt_password`, where there is one."""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    beat_s: Annotated[float, Meta(ge=1.0, le=86_400.0)] = 300.0
    """How often the device says that it is there. A broker that is killed never says that its devices are
    gone, so one that was silent for three beats counts as gone."""
    subscribe_qos: Literal[0, 1] = 1
    """0 for a NATS cluster, which makes a replicated consumer for each subscription above it, and whose nodes
    may not know yet what another was given: what does not come is asked for again after a second."""


class Trust(Section, frozen=True, kw_only=True):
    root: Given = "root.json"
    """The pinned root of trust, from `shoal init`."""
    timeout_s: Annotated[float, Meta(gt=0.0, le=3600.0)] = 20.0


class Accept(StrEnum):
    """Who says that a release is begun which the plan offers this device."""

    AUTO = "auto"
    """The operator alone."""
    ASKED = "asked"
    """Somebody on the device besides."""


class Update(Section, frozen=True, kw_only=True):
    stream: Segment = "main"
    recheck_s: Annotated[float, Meta(ge=1.0, le=604_800.0)] = 3600.0
    """How often the signed metadata is read even if nothing announced a change."""
    rate_bytes_s: Annotated[float, Meta(ge=0.0)] = 0.0
    """How fast this device downloads at most; the plan's own cap counts besides. 0: as fast as the line."""
    windows: Annotated[tuple[str, ...], Meta(max_length=16)] = ()
    """When an update may begin, in UTC, such as `mon-fri 02:00-05:00`; the plan's own windows count besides.
    Empty: at any time."""
    accept: Accept = Accept.AUTO
    """With `asked`, a release waits until somebody accepts it: on the device's page, in Home Assistant, or
    with `shoal-agent accept`. One that is taken back goes back all the same."""
    veto_file: str = ""
    """Nothing is begun while this file is there; its first line says why. Empty: `veto` in the state
    folder."""


class Camera(Section, frozen=True, kw_only=True):
    kind: CameraKind = CameraKind.AUTO
    device: str = ""
    """`v4l2`: a path such as /dev/video0; `picamera2`: the camera's number. Empty: the first there is."""
    url: str = ""
    """`rtsp`: the stream's address."""
    file: str = ""
    """`file`: the video file."""
    folder: str = ""
    """`replay`: the folder of photographs."""
    of: str = ""
    """`shared`: the pipeline whose camera it is."""
    rate_fps: Rate = 10.0
    """Frames asked of the camera. 0: as often as the model is free, or, of a camera that has a rhythm of its
    own, all it gives."""
    width_px: Annotated[int, Meta(ge=16, le=8192)] = 640
    height_px: Annotated[int, Meta(ge=16, le=8192)] = 480
    """Frames are scaled to cover this size and cropped at the centre. With `picamera2` the image processor
    does that: set both to the model's input, such as 224, and the CPU has nothing left to scale."""
    rotate_deg: Literal[0, 90, 180, 270] = 0
    """Clockwise."""
    fresh: bool = False
    """`picamera2`: only frames exposed after they were asked for; costs frames per second."""
    every_nth: Annotated[int, Meta(ge=1, le=100_000)] = 1
    """Classify one frame of so many."""


class Runtime(Section, frozen=True, kw_only=True):
    kind: RuntimeChoice = RuntimeChoice.AUTO
    threads: Annotated[int, Meta(ge=0, le=64)] = 0
    """0: the fastest number, measured once a model and host."""
    delegate: DelegateChoice = DelegateChoice.AUTO
    edgetpu_library: Given = "libedgetpu.so.1"
    edgetpu_device: TpuDevice = ""
    """`usb`, `pci`, `usb:1`, `pci:0`, ...; empty: the first there is."""
    edgetpu_performance: Performance = Performance.MAX


class Emission(Section, frozen=True, kw_only=True):
    """Which predictions are published. Telemetry and evidence always count every frame."""

    mode: EmissionMode = EmissionMode.EVERY
    at_most_per_s: Rate = 0.0
    """0: no limit."""
    heartbeat_s: Seconds = 60.0
    """Publish at least this often; 0: never for that reason."""
    floor: Share = 0.0
    """A best score below it is not published, but once as an empty ranking."""
    hysteresis: Share = 0.1
    """`change`: by how much a new label's score must lead the published label's."""
    smoothing_frames: Annotated[int, Meta(ge=1, le=1000)] = 1
    """Scores are averaged over this many frames."""


class Telemetry(Section, frozen=True, kw_only=True):
    window_s: Annotated[float, Meta(ge=1.0, le=3600.0)] = 10.0
    top: Annotated[int, Meta(ge=1, le=100)] = 5
    """Ranked labels in a prediction."""


class Thermal(Section, frozen=True, kw_only=True):
    step_down_at_c: Annotated[float, Meta(ge=0.0, le=120.0)] = 80.0
    """The SoC temperature from which fewer frames are classified; 0: never."""
    step_up_below_c: Annotated[float, Meta(ge=0.0, le=120.0)] = 72.0
    floor_fps: Annotated[float, Meta(gt=0.0, le=1000.0)] = 1.0
    """The rate is never lowered below it."""


class Outbox(Section, frozen=True, kw_only=True):
    """What waits on disk while the broker is away. Events always do."""

    max_mib: Annotated[int, Meta(ge=1, le=65_536)] = 16
    """Above it the oldest are dropped, and counted. A quarter is for events, where predictions wait too."""
    predictions: bool = False
    """Predictions wait as well, and are published with QoS 1."""
    drain_per_s: Annotated[float, Meta(gt=0.0, le=10_000.0)] = 50.0
    """Messages that waited are published so fast, beside what is said meanwhile."""


class Commands(Section, frozen=True, kw_only=True):
    """Signed commands from the operator."""

    enabled: bool = True
    per_minute: Annotated[int, Meta(ge=1, le=600)] = 12


class Web(Section, frozen=True, kw_only=True):
    """The device's page, and its figures for Prometheus."""

    listen: Annotated[
        str,
        Meta(
            pattern=r"\A(.+:\d{1,5})?\Z",
            description="an address and a port, such as 127.0.0.1:8480 or 0.0.0.0:8480; nothing for no page",
        ),
    ] = ""
    """Beyond loopback a password is needed."""
    proxy: str = ""
    """The address of a reverse proxy in front of it, as this host sees it; several with commas. It is
    believed who comes, and whether by https; as anybody may come, a password is needed."""
    password_file: str = ""
    """What a browser is asked for, and what a program sends as a bearer token. Empty: the service manager's
    credential `web_password`, where there is one."""
    certificate: str = ""
    key: str = ""
    """For https, in PEM."""


class HomeAssistant(Section, frozen=True, kw_only=True):
    """The device announces itself to a Home Assistant on its broker."""

    enabled: bool = False
    prefix: Segment = "homeassistant"
    """Of Home Assistant's own topics, as its MQTT integration is told."""
    object_id: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{0,64}\Z")] = ""
    """In the topic that it announces itself on. Empty: the device's id, which alone the access list of
    `shoal broker-config` allows."""
    name: str = ""
    """Empty: the device's id."""
    area: str = ""
    """Where it stands, as a suggestion."""
    url: Annotated[str, Meta(pattern=r"\A(https?://.+)?\Z")] = ""
    """The device's page, as a browser in the house reaches it."""
    frame_every_s: Seconds = 10.0
    """Between two pictures, 1 at least; 0: none leaves the device."""


class Log(Section, frozen=True, kw_only=True):
    verbose: bool = False
    """What is of use only for finding faults, too; the option --verbose says the same for one run."""


class Pipeline(Section, frozen=True, kw_only=True):
    """A further camera and model. A section that is not given is the device's own; the camera is not."""

    stream: Segment
    camera: Camera
    runtime: Runtime | None = None
    emission: Emission | None = None


class Settings(Section, frozen=True, kw_only=True):
    device: Device = Device()
    broker: Broker = Broker()
    claim: Claim = Claim()
    trust: Trust = Trust()
    update: Update = Update()
    camera: Camera = Camera()
    runtime: Runtime = Runtime()
    emission: Emission = Emission()
    telemetry: Telemetry = Telemetry()
    thermal: Thermal = Thermal()
    outbox: Outbox = Outbox()
    commands: Commands = Commands()
    web: Web = Web()
    homeassistant: HomeAssistant = HomeAssistant()
    log: Log = Log()
    pipeline: dict[Segment, Pipeline] = {}

    @property
    def veto_path(self) -> Path:
        """One for all pipelines: whoever uses the device means the device."""
        return Path(self.update.veto_file or Path(self.device.state_dir) / "veto")
