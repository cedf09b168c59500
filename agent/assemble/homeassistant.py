"""The device in a home's automation, put together."""

from collections.abc import Sequence
from pathlib import Path

from agent.adapters.announced_file import AnnouncedFile
from agent.assemble.commands import PipelineHands
from agent.assemble.pipeline import Pipeline, Shared
from agent.config import Settings, pipelines
from agent.core.homeassistant.announcing import Portrait
from agent.core.homeassistant.entities import Scene
from agent.core.homeassistant.model import model_state
from agent.loops.house.farewell import Farewell
from agent.loops.house.homeassistant import HomeAssistant, Say
from agent.loops.house.line import Line
from agent.wire.commands import Frame
from agent.wire.homeassistant import ModelState
from agent.wire.ipc import Snapped
from agent.wire.reports import Capabilities
from agent.wire.topics import House


def homeassistant(
    shared: Shared, lines: Sequence[Pipeline], capabilities: Capabilities
) -> HomeAssistant | Farewell:
    """What announces the device; where that is off, what takes back an announcement from before."""
    settings = shared.settings
    home, device = settings.homeassistant, shared.facts.id
    memory = AnnouncedFile(Path(settings.device.state_dir) / "homeassistant.json")
    if not home.enabled:
        return Farewell(shared.link, shared.connection, memory)
    scene = Scene(
        root=shared.root,
        device=device,
        object_id=home.object_id or device,
        window_s=settings.telemetry.window_s,
        pictures=home.frame_every_s > 0,
        silent_s=silent_s(settings),
        page=home.url,
    )
    portrait = Portrait(
        name=home.name or device,
        model=_model(capabilities),
        agent=capabilities.agent,
        area=home.area,
    )
    say = Say(House(home.prefix), scene, portrait, home.frame_every_s)
    told = [_line(pipeline) for pipeline in lines]
    return HomeAssistant(shared.link, shared.connection, memory, shared.outside.random.random, say, told)


def configure(home: HomeAssistant | Farewell, settings: Settings) -> None:
    """Take over what can change while the agent runs."""
    if isinstance(home, HomeAssistant):
        home.configure(settings.telemetry.window_s, silent_s(settings))


def silent_s(settings: Settings) -> dict[str, float]:
    """By pipeline: how long it tells of no frame while all is well; none where no heartbeat bounds it."""
    return {
        line.name: line.emission.heartbeat_s
        + (1 / line.emission.at_most_per_s if line.emission.at_most_per_s else 0.0)
        + (line.camera.every_nth / line.camera.rate_fps if line.camera.rate_fps else 0.0)
        for line in pipelines(settings)
        if line.emission.heartbeat_s
    }


def _model(capabilities: Capabilities) -> str:
    tpu = f" + Edge TPU ({', '.join(capabilities.edgetpu)})" if capabilities.edgetpu else ""
    return f"{capabilities.machine or 'Linux'}{tpu}"


def _line(pipeline: Pipeline) -> Line:
    hands = PipelineHands(pipeline.worker, pipeline.pacer, pipeline.reporter, pipeline.look)

    def model() -> ModelState | None:
        told, asked = pipeline.reporter.told, pipeline.update.acceptance
        return None if told is None else model_state(pipeline.update.state, told, asked.offered, asked.coming)

    async def picture() -> Snapped:
        return await hands.frame(Frame())

    return Line(
        name=pipeline.name,
        model=model,
        accept=pipeline.update.acceptance.accept,
        watch=pipeline.reporter.watch,
        picture=picture,
        paused=lambda: pipeline.pacer.paused,
    )
