"""The pipelines that the settings describe."""

from dataclasses import dataclass
from pathlib import Path

from agent.config.sections import Camera, Emission, Runtime, Settings
from agent.wire.topics import MAIN


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """One camera and one model, with everything that applies to them."""

    name: str
    stream: str
    camera: Camera
    runtime: Runtime
    emission: Emission


def pipelines(settings: Settings) -> tuple[PipelineSettings, ...]:
    """The pipeline of the file's own sections first, then the named ones."""
    main = PipelineSettings(
        MAIN, settings.update.stream, settings.camera, settings.runtime, settings.emission
    )
    return main, *(
        PipelineSettings(
            name,
            further.stream,
            further.camera,
            further.runtime or settings.runtime,
            further.emission or settings.emission,
        )
        for name, further in settings.pipeline.items()
    )


def state_dir(settings: Settings, name: str) -> Path:
    """Each pipeline keeps its own models: what one of them refuses is no concern of another."""
    state = Path(settings.device.state_dir)
    return state if name == MAIN else state / "pipelines" / name
