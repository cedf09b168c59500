"""A fleet of one for tests: a workspace, a broker, `shoal-agent run` as a process, and an ear on its topics.

Everything is the real thing; only the releases may be ones that `shoal release` would never sign.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from typing import Self

from msgspec.structs import replace

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import Message
from agent.wire import codec, topics
from agent.wire.documents import Manifest, Variant
from agent.wire.errors import WireError
from agent.wire.reports import Event, Prediction, Report, Telemetry
from agent.wire.topics import DeviceId, Qos, Root
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import ArtifactFolder, Workspace, find
from deploy.assemble.desk import publishing
from deploy.core.release.chunking import cut

DEVICE = DeviceId("rig")
POLICY = (
    "--trial-shadow-frames=6",
    "--probation-healthy-windows=2",
    "--probation-window-frames=8",
    # The slowest of eight frames of a model that takes a millisecond tells of the machine's other work.
    "--probation-latency-ratio-max=100",
)
SHOAL_MAX_S = 600.0
"""For a command of the operator on an emulated, busy machine."""
REPOSITORY = Path(__file__).parents[1]
SHIPPED = REPOSITORY / "models/efficientnet_lite0/efficientnet_lite0_224_uint8.tflite"
LABELS = REPOSITORY / "models/efficientnet_lite0/labels.txt"
PHOTOGRAPHS = REPOSITORY / "models/photographs"

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
"""A run of the tests that is killed leaves no device behind."""


def replay(rate_fps: float = 10.0) -> str:
    """The lines of a camera section that shows the photographs."""
    return f'kind = "replay"\nfolder = "{PHOTOGRAPHS}"\nrate_fps = {rate_fps}\n'


REPLAY = replay()


def shoal(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """The operator's command, as typed."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "deploy", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=SHOAL_MAX_S,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"shoal {' '.join(arguments)}: {done.stderr}")
    return done


@dataclass(frozen=True, slots=True)
class Fleet:
    workspace: Workspace
    url: str
    root: Root

    def release(self, model: Path, version: str, *more: str, compiled: Path | None = None) -> Manifest:
        """An honest release, by the operator's own command; `compiled` is its variant for the Edge TPU."""
        models = [str(path) for path in (model, compiled) if path is not None]
        shoal(
            "release", *models, "--name=rig", f"--version={version}", "--golden", str(PHOTOGRAPHS),
            "--workspace", str(self.workspace.folder), *more,
        )  # fmt: skip
        return self.manifest(version)

    def manifest(self, version: str) -> Manifest:
        found = self.repository().manifest("rig", version)
        assert found is not None, version
        return found

    def release_bytes(
        self, like: Manifest, version: str, model: bytes, *, labels: bytes | None = None
    ) -> Manifest:
        """A release of these very bytes with another's golden set, signed without a look at it."""
        variant = replace(like.variants[0], artifact=self._keep(model))
        if labels is not None:
            like = replace(like, labels=self._keep(labels))
        return self.release_variants(like, version, [variant])

    def release_variants(self, like: Manifest, version: str, variants: Sequence[Variant]) -> Manifest:
        """Another release of these variants."""
        manifest = replace(like, version=version, variants=tuple(variants))
        self.repository().add_release(manifest)
        publishing.publish_release(self.workspace, manifest, lambda *_: None)
        return manifest

    def roll_out(self, version: str, *more: str) -> None:
        """To everybody; what is under way becomes stable if its gate agrees, and makes way in any case."""
        shoal(
            "rollout", "start", f"rig@{version}", "--waves=all", "--replace=the next one", *POLICY,
            "--workspace", str(self.workspace.folder), *more,
        )  # fmt: skip

    def repository(self) -> TufRepository:
        where = self.workspace
        return TufRepository.open(where.repository, where.offline_keys, where.online_keys, SystemClock())

    def _keep(self, content: bytes):
        ArtifactFolder(self.workspace.artifacts).put(content)
        return cut(content)


def fleet(folder: Path, url: str) -> Fleet:
    root = f"shoal/rig-{time.monotonic_ns()}"
    shoal("init", str(folder / "fleet"), "--broker", url, "--root", root)
    return Fleet(find(folder / "fleet"), url, topics.root(root))


@dataclass(slots=True)
class Heard:
    """What the device has published, in order of arrival."""

    predictions: list[Prediction] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    telemetry: list[Telemetry] = field(default_factory=list)
    report: Report | None = None
    reports: int = 0


class Ear:
    """Listens to one device; `wait` is how tests wait for anything."""

    def __init__(self, fleet: Fleet, device: DeviceId = DEVICE, pipeline: str = topics.MAIN) -> None:
        host, port = fleet.url.removeprefix("mqtt://").rsplit(":", 1)
        self.heard = Heard()
        self._root = fleet.root
        self._changed = Condition()
        self._link = MqttLink(LinkSettings(host, int(port), f"ear-{time.monotonic_ns()}"))
        self._link.open(lambda _: None)
        channels = (topics.REPORT, topics.EVENT, topics.PREDICTION, topics.TELEMETRY)
        self._link.subscribe(
            [fleet.root.device(channel, device, pipeline) for channel in channels],
            Qos.AT_LEAST_ONCE,
            self._take,
        )

    def close(self) -> None:
        self._link.close()

    def wait(self, until: Callable[[Heard], bool], timeout_s: float = 60.0) -> Heard:
        with self._changed:
            assert self._changed.wait_for(lambda: until(self.heard), timeout_s), (
                f"not within {timeout_s} s: {self.heard.report} {self.heard.events[-3:]}"
            )
            return self.heard

    def ended(self, version: str, timeout_s: float = 60.0) -> dict[str, str | int | float]:
        """How the update to this version ended."""
        found = self.wait(lambda heard: any(_is_end(event, version) for event in heard.events), timeout_s)
        return next(event.fields for event in found.events if _is_end(event, version))

    def _take(self, message: Message) -> None:
        with self._changed, contextlib.suppress(WireError):
            match self._root.parse(message.topic).channel:
                case topics.PREDICTION:
                    self.heard.predictions.append(codec.decode(message.payload, Prediction))
                case topics.EVENT:
                    self.heard.events.append(codec.decode(message.payload, Event))
                case topics.TELEMETRY:
                    self.heard.telemetry.append(codec.decode(message.payload, Telemetry))
                case topics.REPORT:
                    self.heard.report = codec.decode(message.payload, Report)
                    self.heard.reports += 1
            self._changed.notify_all()


def _is_end(event: Event, version: str) -> bool:
    return event.name == "update.ended" and event.fields["version"] == version


@contextlib.contextmanager
def listening(fleet: Fleet, pipeline: str = topics.MAIN, device: DeviceId = DEVICE) -> Iterator[Ear]:
    ear = Ear(fleet, device, pipeline)
    try:
        yield ear
    finally:
        ear.close()


class Agent:
    """`shoal-agent run` as a process of its own, that may be killed and started again."""

    def __init__(
        self,
        folder: Path,
        fleet: Fleet,
        *,
        url: str | None = None,
        camera: str = REPLAY,
        more: str = "",
        device: DeviceId = DEVICE,
        broker: str = "",
    ) -> None:
        """`camera` and `broker` are what stands in their sections, `more` are further sections."""
        self.log = folder / "agent.log"
        self._config = folder / "device.toml"
        self._config.write_text(
            f'[device]\nid = "{device}"\nstate_dir = "device"\nfree_floor_mib = 1\n'
            f'[broker]\nurl = "{url or fleet.url}"\nroot = "{fleet.root.prefix}"\n{broker}'
            f'[trust]\nroot = "{fleet.workspace.root_of_trust}"\ntimeout_s = 5\n'
            f"[camera]\n{camera}[telemetry]\nwindow_s = 1\n{more}"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*_DIES_WITH_US, sys.executable, "-P", "-m", "agent", "run", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As a power cut would, but for the disk's cache: nothing is said, nothing is finished."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 10.0) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.running():
            self.kill()
