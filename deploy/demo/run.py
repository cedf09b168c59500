"""`make demo`: one device, one broker, three releases, on this machine and for real.

It types the operator's commands, starts `shoal-agent run` as a process of its own, and shows what that
device publishes. The second release swaps in while frames flow; the third is broken and is refused.
"""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from agent.ports.link import Link, Message, Up
from agent.wire import codec, topics
from agent.wire.errors import ConfigError, WireError
from agent.wire.reasons import IN_WORDS, Reason
from agent.wire.reports import Event, Outcome, Phase, Prediction, Progress, Report, Telemetry
from agent.wire.topics import DeviceId, Qos, Root
from deploy.assemble.demo import open_link, start_broker
from deploy.core.spans import volume
from deploy.demo import models, places
from deploy.demo.clearing import clean
from deploy.demo.errands import Errands, Failed, Started, run, shown
from deploy.demo.models import Chosen
from deploy.demo.tally import Tally
from deploy.demo.view import View, pulling

DEVICE = DeviceId("demo-pi")
RATE_FPS = 10
FRAME_PX = 480
"""Square frames, so that portraits are not cut to a landscape camera before the model sees them."""
UNTIMED_PREDICTIONS = 300
STORY_MAX_S = 120.0
"""How long after the last prediction that was asked for the story may still take: a machine may be busy."""
FETCH_TIMEOUT_S = 5
PATIENCE_S = 300.0
LEAVE_S = 8.0
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, an orderly end, and a terminal that was closed: the device must not be left behind."""

POLICY = (
    "--trial-shadow-frames=12",
    "--trial-invoke-budget-ms=60000",
    "--trial-latency-ratio-max=20",
    "--trial-timeout-s=900",
    "--probation-healthy-windows=2",
    "--probation-window-frames=12",
    "--probation-latency-ratio-max=20",
)
"""Latency is shown and not judged: the demo is for any machine, an emulated one too."""


@dataclass(frozen=True, slots=True)
class Options:
    frames: int | None
    broker: str | None
    keep: Path | None


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demo needs of the checkout, and where it works."""

    models: Path
    work: Path

    @property
    def photographs(self) -> Path:
        return self.models / "photographs"

    @property
    def workspace(self) -> Path:
        return self.work / "fleet"


def demo(options: Options, models_folder: Path, console: Console) -> int:
    """Until so many predictions, or Ctrl-C; then the summary as the last line of standard output.

    Raises:
        AgentError: something it needs is missing; one sentence.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_handled(_interrupt))
        work = stack.enter_context(places.folder(options.keep))
        stage = Stage(models_folder, work)
        url = options.broker
        if url is None:
            broker = stack.enter_context(start_broker(work / "broker"))
            url = broker.url
            console.print(f"broker: {broker.kind} on {url}", highlight=False)
        root = topics.root(f"shoal/demo-{int(time.time())}")
        tally = Tally()
        with View(console) as view:
            _play(options, stage, url, root, tally, view)
            view.update(tally, options.frames)
    print(json.dumps(tally.summary()), flush=True)  # noqa: T201 - the contract of the command
    return 0


def _play(options: Options, stage: Stage, url: str, root: Root, tally: Tally, view: View) -> None:
    inbox: queue.Queue[Message] = queue.Queue()
    told = threading.Event()
    with _listening(url, root, inbox) as link, contextlib.ExitStack() as afterwards:
        if options.broker is not None:
            afterwards.callback(_leave_nothing, link, root)
        chosen = _choose(stage)
        view.say(f"model: {chosen.name} ({chosen.why})")
        _prepare(stage, url, root, chosen, view)
        show = Show(stage, chosen, tally, view, options.frames)
        with _handled(lambda *_: told.set()):
            with places.page() as page, _device(stage, url, root, page), contextlib.closing(show):
                view.say(f"$ shoal-agent run --config device.toml    ({RATE_FPS} photographs a second)")
                view.page(f"http://{page}/")
                show.run(inbox, root, told)
            show.drain(inbox, root)


def _leave_nothing(link: Link, root: Root) -> None:
    with _handled(lambda *_: None):
        clean(link, root)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """What ends the demo goes to this handler. An exception alone would not do while the device lives: one
    that is raised inside a callback is lost, and one between two lines leaves a process behind.
    """
    before = [(number, signal.signal(number, handler)) for number in ENDS]
    try:
        yield
    finally:
        for number, known in before:
            signal.signal(number, known)


def _choose(stage: Stage) -> Chosen:
    """Google's MobileNet v2 where it can be had within seconds, else the model that ships."""
    fetched = stage.work / "fetched"
    try:
        run(
            stage.work,
            [
                "model",
                "fetch",
                "mobilenet_v2",
                "--only",
                "cpu",
                "--to",
                str(fetched),
                "--timeout",
                str(FETCH_TIMEOUT_S),
            ],
        )
    except ConfigError:
        folder = stage.models / "efficientnet_lite0"
        model = next(folder.glob("*_uint8.tflite"))
        why = f"shipped with Shoal; MobileNet v2 could not be had within {FETCH_TIMEOUT_S} s"
        return Chosen("efficientnet_lite0", model, folder / "labels.txt", why)
    model = next(p for p in fetched.rglob("*.tflite") if "edgetpu" not in p.name)
    return Chosen("mobilenet_v2", model, None, "Google's, fetched and checked against its SHA-256")


def _prepare(stage: Stage, url: str, root: Root, chosen: Chosen, view: View) -> None:
    _typed(stage, ["init", str(stage.workspace), "--broker", url, "--root", root.prefix], view)
    _typed(stage, _release(stage, chosen, chosen.path, "1.0.0"), view)
    _typed(stage, _rollout(chosen, "1.0.0"), view)


def _typed(stage: Stage, arguments: Sequence[str], view: View) -> None:
    view.say(f"$ {shown(arguments)}")
    for line in filter(None, run(stage.workspace, arguments).splitlines()[:2]):
        view.say(f"  {line}")


def _release(stage: Stage, chosen: Chosen, model: Path, version: str, *more: str) -> list[str]:
    labels = ["--labels", str(chosen.labels)] if chosen.labels else []
    golden = ["--golden", str(stage.photographs)]
    return ["release", str(model), "--name", chosen.name, "--version", version, *labels, *golden, *more]


def _rollout(chosen: Chosen, version: str) -> list[str]:
    story = ("--replace", "demo")
    return ["rollout", "start", f"{chosen.name}@{version}", "--waves", "all", *story, *POLICY]


@contextlib.contextmanager
def _listening(url: str, root: Root, inbox: "queue.Queue[Message]") -> Iterator[Link]:
    up: queue.Queue[bool] = queue.Queue()
    link = open_link(url, lambda state: up.put(isinstance(state, Up)))
    try:
        if not up.get(timeout=10.0):
            raise ConfigError(f"the broker {url} cannot be reached: start it, or mend its address")
        mine = [
            root.device(channel, DEVICE)
            for channel in (topics.REPORT, topics.EVENT, topics.PREDICTION, topics.TELEMETRY)
        ]
        link.subscribe(mine, Qos.AT_LEAST_ONCE, inbox.put)
        yield link
    except queue.Empty:
        raise ConfigError(f"the broker {url} did not answer within 10 s") from None
    finally:
        link.close()


@contextlib.contextmanager
def _device(stage: Stage, url: str, root: Root, page: str) -> Iterator[None]:
    config = stage.work / "device.toml"
    config.write_text(
        f'[device]\nid = "{DEVICE}"\nstate_dir = "device"\n'
        f'[broker]\nurl = "{url}"\nroot = "{root.prefix}"\n'
        f'[trust]\nroot = "{stage.workspace / "root.json"}"\n'
        f'[camera]\nkind = "replay"\nfolder = "{stage.photographs}"\nrate_fps = {RATE_FPS}\n'
        f"width_px = {FRAME_PX}\nheight_px = {FRAME_PX}\n"
        f'[telemetry]\nwindow_s = 1\n[web]\nlisten = "{page}"\n'
    )
    log = stage.work / "shoal-agent.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent", "run", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield
        if process.poll() is not None:
            raise ConfigError(f"the device ended early: {log.read_text().strip()[-600:]}")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


LAST_VERSION = "1.2.0"


@dataclass(frozen=True, slots=True)
class Act:
    """A rollout of the story, and what it waits for."""

    version: str
    after: str
    predictions: int

    def is_due(self, tally: Tally) -> bool:
        return tally.predictions >= self.predictions and tally.over(self.after)


class Show:
    """Reads what the device publishes, and pushes the next release when the last one has settled."""

    def __init__(self, stage: Stage, chosen: Chosen, tally: Tally, view: View, goal: int | None) -> None:
        self._stage, self._chosen, self._tally, self._view, self._goal = stage, chosen, tally, view, goal
        self._errands = Errands(stage.workspace)
        self._waiting = [
            Act("1.1.0", "1.0.0", (goal or UNTIMED_PREDICTIONS) // 10),
            Act(LAST_VERSION, "1.1.0", (goal or UNTIMED_PREDICTIONS) * 2 // 5),
        ]
        self._reached_at: float | None = None
        self._phase: Phase | None = None
        self._told = ("", 0)

    def run(self, inbox: "queue.Queue[Message]", root: Root, told: threading.Event) -> None:
        """Until the goal is reached and the story told, or one is told to end."""
        self._sign_the_others()
        heard_at = time.monotonic()
        while not told.is_set() and not self._complete():
            with contextlib.suppress(queue.Empty):
                self._take(inbox.get(timeout=0.2), root)
                heard_at = time.monotonic()
            if time.monotonic() - heard_at > PATIENCE_S:
                raise ConfigError(f"the device has published nothing for {PATIENCE_S:.0f} s")
            self._advance()
            self._view.update(self._tally, self._goal)

    def _complete(self) -> bool:
        if self._goal is None or self._tally.predictions < self._goal:
            return False
        if self._reached_at is None:
            self._reached_at = time.monotonic()
        return self._tally.over(LAST_VERSION) or time.monotonic() - self._reached_at > STORY_MAX_S

    def drain(self, inbox: "queue.Queue[Message]", root: Root) -> None:
        """What the device said while it went down: the last bit of telemetry."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(inbox.get(timeout=0.3), root)

    def close(self) -> None:
        self._errands.close()

    def _advance(self) -> None:
        for said in self._errands.poll():
            match said:
                case Started(arguments):
                    self._view.say(f"$ {shown(arguments)}")
                case Failed(arguments, error):
                    self._view.say(f"{shown(arguments)} failed: {error}")
        if self._tally.over("1.0.0") and not self._tally.committed("1.0.0"):
            raise ConfigError(f"the device refused the first release: {', '.join(self._tally.refused)}")
        if self._waiting and self._waiting[0].is_due(self._tally):
            act = self._waiting.pop(0)
            self._errands.add(_rollout(self._chosen, act.version))

    def _sign_the_others(self) -> None:
        """While the first one serves: only the plans are left to publish when their time comes."""
        model = self._chosen.path.read_bytes()
        self._view.say("signing 1.1.0 (the same weights, repackaged) and 1.2.0 (noise in its weights)")
        self._errands.add(
            self._release("1.1.0", models.repackaged(model, self._chosen.labels)),
            self._release(
                "1.2.0",
                models.broken(model),
                "--golden-model",
                str(self._chosen.path),
                "--accept-disagreement",
            ),
        )

    def _release(self, version: str, content: bytes, *more: str) -> list[str]:
        model = self._stage.work / f"{self._chosen.name}-{version}.tflite"
        model.write_bytes(content)
        return _release(self._stage, self._chosen, model, version, *more)

    def _take(self, message: Message, root: Root) -> None:
        with contextlib.suppress(WireError):
            match root.parse(message.topic).channel:
                case topics.PREDICTION:
                    if self._goal is None or self._tally.predictions < self._goal:
                        self._tally.predicted(codec.decode(message.payload, Prediction))
                case topics.TELEMETRY:
                    self._tally.measured(codec.decode(message.payload, Telemetry))
                case topics.EVENT:
                    self._event(codec.decode(message.payload, Event))
                case topics.REPORT:
                    self._reported(codec.decode(message.payload, Report))

    def _pulled(self, candidate: Progress) -> None:
        """The download, a quarter at a time: over loopback it is gone before a live bar is drawn."""
        quarters = candidate.bytes_done * 4 // candidate.bytes_total
        if (candidate.manifest, quarters) != self._told:
            self._told = (candidate.manifest, quarters)
            self._view.say(f"device: {pulling(candidate)}")

    def _reported(self, report: Report) -> None:
        self._tally.report = report
        if report.phase is not self._phase:
            self._phase = report.phase
            candidate = report.candidate
            named = f" {candidate.name} {candidate.version}" if candidate else ""
            self._view.say(f"device: {report.phase}{named}")
        if report.phase is Phase.FETCHING and report.candidate and report.candidate.bytes_total:
            self._pulled(report.candidate)

    def _event(self, event: Event) -> None:
        self._tally.happened(event)
        fields = event.fields
        match event.name:
            case "update.fetched":
                packed = volume(int(fields["bytes"]))
                self._view.say(f"device: pulled {packed}, packed; each chunk and file verified")
            case "trial.proven":
                self._view.say(
                    f"device: {fields['golden']} golden inputs right, invoke {fields['invoke_p50_ms']} ms "
                    f"on {fields['delegate']}"
                )
            case "trial.shadowed":
                self._view.say(f"device: agreed with the running model on {fields['frames']} live frames")
            case "model.serving":
                self._view.say(f"device: serving, switched between two frames in {fields['gap_ms']} ms")
            case "update.ended" if fields["outcome"] == Outcome.COMMITTED:
                self._view.say(f"device: {fields['version']} committed")
            case "update.ended":
                reason = Reason(str(fields["reason"]))
                self._view.say(
                    f"device: {fields['version']} {fields['outcome']} ({reason}: {IN_WORDS[reason]})\n"
                    f"        {fields['detail']}"
                )
            case _:
                pass
