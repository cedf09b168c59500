"""The device's configuration: one TOML file."""

from agent.config import claimed
from agent.config.changes import Change, Changes, compare
from agent.config.effective import Effective, Origin, effective
from agent.config.pipelines import PipelineSettings, pipelines
from agent.config.reading import DEFAULT_PATH, Configuration, defaults, examine, find, read, there
from agent.config.sections import (
    Broker,
    Camera,
    CameraKind,
    Claim,
    Commands,
    Device,
    Emission,
    HomeAssistant,
    Log,
    Outbox,
    Performance,
    Pipeline,
    Runtime,
    Settings,
    Telemetry,
    Thermal,
    Trust,
    Update,
    Web,
)
from agent.core.serving.delegate import DelegateChoice
from agent.core.telemetry.emission import EmissionMode

__all__ = [
    "DEFAULT_PATH",
    "Broker",
    "Camera",
    "CameraKind",
    "Change",
    "Changes",
    "Claim",
    "Commands",
    "Configuration",
    "DelegateChoice",
    "Device",
    "Effective",
    "Emission",
    "EmissionMode",
    "HomeAssistant",
    "Log",
    "Origin",
    "Outbox",
    "Performance",
    "Pipeline",
    "PipelineSettings",
    "Runtime",
    "Settings",
    "Telemetry",
    "Thermal",
    "Trust",
    "Update",
    "Web",
    "claimed",
    "compare",
    "defaults",
    "effective",
    "examine",
    "find",
    "pipelines",
    "read",
    "there",
]
