"""What no key can say alone: settings that contradict each other, one sentence each."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from agent.config.lines import Key
from agent.config.pipelines import PipelineSettings, pipelines
from agent.config.sections import (
    Broker,
    Camera,
    CameraKind,
    Device,
    Emission,
    HomeAssistant,
    Runtime,
    Settings,
    Thermal,
    Update,
    Web,
)
from agent.core.broker_url import parse_urls
from agent.core.page.place import is_loopback, parse
from agent.core.redaction import shown_url
from agent.core.serving.delegate import DelegateChoice
from agent.core.telemetry.emission import EmissionMode
from agent.core.update import windows
from agent.wire import topics
from agent.wire.errors import ConfigError
from agent.wire.topics import MAIN


@dataclass(frozen=True, slots=True)
class Fault:
    key: Key
    """The one to edit."""
    words: str


_LOCAL = frozenset({CameraKind.AUTO, CameraKind.PICAMERA2, CameraKind.V4L2})
"""Cameras that one process can open at a time."""


def faults(settings: Settings) -> Iterator[Fault]:
    """Everything that a person must mend before the agent can run, in the order of the file."""
    yield from _device(settings.device)
    yield from _broker(settings.broker)
    yield from _claim(settings)
    yield from _windows(settings.update)
    yield from _thermal(settings.thermal)
    yield from _web(settings.web, settings.broker)
    yield from _homeassistant(settings.homeassistant, settings.device)
    if MAIN in settings.pipeline:
        yield Fault(
            ("pipeline", MAIN), f"[pipeline.{MAIN}] belongs to the sections above it: choose another name"
        )
        return
    lines = pipelines(settings)
    for line in lines:
        yield from _camera(line.camera, _section(line, "camera"))
        yield from _emission(line.emission, _section(line, "emission"))
    yield from _shares(lines)
    for one, other in combinations(lines, 2):
        yield from _same_camera(one, other)
        yield from _same_edgetpu(one, other)


def _section(line: PipelineSettings, name: str) -> Key:
    return (name,) if line.name == MAIN else ("pipeline", line.name, name)


def _device(device: Device) -> Iterator[Fault]:
    if not device.id:
        return
    try:
        topics.device_id(device.id)
    except ConfigError as error:
        yield Fault(("device", "id"), str(error))


def _claim(settings: Settings) -> Iterator[Fault]:
    claim, key = settings.claim, ("claim", "token_file")
    if bool(claim.token_file) != bool(claim.enrolment_key):
        yield Fault(
            key, "claim.token_file and claim.enrolment_key belong together: shoal claims new writes both"
        )
    if claim.token_file and settings.device.id:
        yield Fault(key, "claim.token_file is given, and device.id too: a device that has an id claims none")
    if claim.token_file and not settings.broker.ca:
        yield Fault(
            key, "claim.token_file is given without broker.ca: nothing could tell a false answer apart"
        )


def _broker(broker: Broker) -> Iterator[Fault]:
    key = ("broker",)
    try:
        topics.root(broker.root)
    except ConfigError as error:
        yield Fault((*key, "root"), f"broker.root: {error}")
    try:
        address = parse_urls(broker.url)[0]
    except ConfigError as error:
        yield Fault((*key, "url"), f"broker.url: {error}")
        return
    if not address.tls:
        named = [name for name in ("ca", "certificate", "key") if getattr(broker, name)]
        if named:
            yield Fault(
                (*key, named[0]),
                f"broker.{named[0]} is given and broker.url {broker.url!r} is not encrypted: use mqtts://",
            )
    if broker.key and not broker.certificate:
        yield Fault((*key, "key"), "broker.key is given without broker.certificate: name the certificate too")
    if address.username and broker.username not in {"", address.username}:
        yield Fault(
            (*key, "username"),
            f"broker.username is {broker.username!r} and broker.url names {address.username!r}: "
            "keep one of them",
        )
    if broker.password_file and not (broker.username or address.username):
        yield Fault(
            (*key, "password_file"),
            "broker.password_file is given without broker.username: "
            "MQTT 3.1.1 has no password without a user",
        )


def _windows(update: Update) -> Iterator[Fault]:
    for text in update.windows:
        try:
            windows.parse(text)
        except ConfigError as error:
            yield Fault(("update", "windows"), f"update.windows: {error}")


def _thermal(thermal: Thermal) -> Iterator[Fault]:
    if 0 < thermal.step_down_at_c <= thermal.step_up_below_c:
        yield Fault(
            ("thermal", "step_up_below_c"),
            f"thermal.step_up_below_c is {thermal.step_up_below_c:g} and step_down_at_c is "
            f"{thermal.step_down_at_c:g}: the first must be lower, or the rate would swing",
        )


def _web(web: Web, broker: Broker) -> Iterator[Fault]:
    if bool(web.certificate) != bool(web.key):
        named = "certificate" if web.certificate else "key"
        yield Fault(("web", named), "web.certificate and web.key belong together: name both, or neither")
    if not web.listen:
        return
    try:
        place = parse(web.listen)
        brokers = parse_urls(broker.url)
    except ConfigError as error:
        yield Fault(("web", "listen"), f"web.listen: {error}")
        return
    try:
        parse(web.listen, web.proxy)
    except ConfigError as error:
        yield Fault(("web", "proxy"), f"web.{error}")
    if any(is_loopback(each.host) and each.port == place.port for each in brokers):
        yield Fault(
            ("web", "listen"), f"web.listen {web.listen!r} has the port of broker.url: give it another one"
        )


def exposed(settings: Settings) -> Iterator[Fault]:
    """Of settings with all that the service manager hands over: a page that others can reach, and anybody
    could use.
    """
    web = settings.web
    if web.listen and not web.password_file and not parse(web.listen, web.proxy).loopback:
        yield Fault(
            ("web", "listen"),
            f"web.listen {web.listen!r} can be reached from elsewhere, and there is no password: name a "
            "web.password_file, or listen on 127.0.0.1 and name no web.proxy",
        )


def _homeassistant(home: HomeAssistant, device: Device) -> Iterator[Fault]:
    if 0 < home.frame_every_s < 1:
        yield Fault(
            ("homeassistant", "frame_every_s"),
            f"homeassistant.frame_every_s is {home.frame_every_s:g}: at most one picture a second, "
            "or 0 for none",
        )
    if home.enabled and not home.object_id and "." in device.id:
        yield Fault(
            ("homeassistant", "object_id"),
            f"homeassistant.object_id is empty, and device.id {device.id!r} has a dot, which Home Assistant "
            "passes over: give an object_id of letters, digits, dashes and underscores",
        )


def _camera(camera: Camera, key: Key) -> Iterator[Fault]:
    name = ".".join(key)
    for kind, wanted, what in (
        (CameraKind.REPLAY, "folder", "the folder of photographs"),
        (CameraKind.FILE, "file", "the video file"),
        (CameraKind.RTSP, "url", "the stream's address"),
        (CameraKind.SHARED, "of", "the pipeline whose camera it is"),
    ):
        if camera.kind is kind and not getattr(camera, wanted):
            yield Fault((*key, "kind"), f"{name}.kind is {kind.value!r} without {name}.{wanted}: name {what}")
    if camera.kind is CameraKind.RTSP and camera.url and not camera.url.startswith(("rtsp://", "rtsps://")):
        yield Fault((*key, "url"), f"{name}.url is {shown_url(camera.url)!r}: begin with rtsp:// or rtsps://")
    if camera.kind is CameraKind.PICAMERA2 and camera.device and not camera.device.isdecimal():
        yield Fault(
            (*key, "device"), f"{name}.device is {camera.device!r}: picamera2 counts its cameras from 0"
        )


def _emission(emission: Emission, key: Key) -> Iterator[Fault]:
    """A heartbeat faster than the limit could never be kept."""
    if emission.mode is not EmissionMode.CHANGE or not emission.at_most_per_s or not emission.heartbeat_s:
        return
    least_s = 1 / emission.at_most_per_s
    if emission.heartbeat_s < least_s:
        name = ".".join(key)
        yield Fault(
            (*key, "heartbeat_s"),
            f"{name}.heartbeat_s is {emission.heartbeat_s:g} and {name}.at_most_per_s is "
            f"{emission.at_most_per_s:g}, one in {least_s:g} s: make the heartbeat at least that long",
        )


def _shares(lines: tuple[PipelineSettings, ...]) -> Iterator[Fault]:
    """A shared camera is another pipeline's own."""
    own = {line.name for line in lines if line.camera.kind is not CameraKind.SHARED}
    for line in lines:
        if line.camera.kind is CameraKind.SHARED and line.camera.of and line.camera.of not in own:
            yield Fault(
                (*_section(line, "camera"), "of"),
                f"pipeline {line.name!r} shares the camera of {line.camera.of!r}; "
                f"name a pipeline in `of` that has its own: {', '.join(sorted(own)) or 'there is none'}",
            )


def _same_camera(one: PipelineSettings, other: PipelineSettings) -> Iterator[Fault]:
    kinds = {one.camera.kind, other.camera.kind}
    if not kinds <= _LOCAL:
        return
    if CameraKind.AUTO in kinds:
        auto, rest = (one, other) if one.camera.kind is CameraKind.AUTO else (other, one)
        said = f"the camera of pipeline {auto.name!r} is 'auto' and may be the one of {rest.name!r}"
    elif one.camera.kind is other.camera.kind and _node(one.camera) == _node(other.camera):
        said = f"pipelines {one.name!r} and {other.name!r} open the same {one.camera.kind.value} camera"
    else:
        return
    yield Fault(
        (*_section(other, "camera"), "kind"),
        f"{said}: give each a kind and device of its own, or share one with kind = 'shared'",
    )


def _node(camera: Camera) -> str:
    """Empty: the first there is, which picamera2 numbers 0."""
    return camera.device or ("0" if camera.kind is CameraKind.PICAMERA2 else "/dev/video0")


def _same_edgetpu(one: PipelineSettings, other: PipelineSettings) -> Iterator[Fault]:
    pair = (one.runtime, other.runtime)
    if DelegateChoice.CPU in {runtime.delegate for runtime in pair}:
        return
    devices = {_edgetpu(runtime) for runtime in pair}
    named = all(runtime.edgetpu_device or runtime.delegate is DelegateChoice.EDGETPU for runtime in pair)
    if len(devices) == 1 and named:
        which = one.runtime.edgetpu_device or "that comes first"
        yield Fault(
            (*_section(other, "runtime"), "edgetpu_device"),
            f"pipelines {one.name!r} and {other.name!r} want the same Edge TPU, the one {which}: "
            "give each its own runtime.edgetpu_device, or one of them runtime.delegate = 'cpu'",
        )


def _edgetpu(runtime: Runtime) -> str:
    """`usb` is the first of its bus, `:0` and nothing are the first of all."""
    device = runtime.edgetpu_device or ":0"
    return device if ":" in device else f"{device}:0"
