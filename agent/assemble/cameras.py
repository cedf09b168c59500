"""Which adapter a camera of the configuration is."""

from agent.config import Camera as CameraSection
from agent.config import CameraKind
from agent.ports.camera import Camera
from agent.ports.clock import Clock
from agent.wire.errors import ConfigError


def open_camera(section: CameraSection, clock: Clock) -> Camera:
    match section.kind:
        case CameraKind.REPLAY:
            from agent.adapters.camera_replay import ReplayCamera

            size = section.width_px, section.height_px
            return ReplayCamera(section.folder, section.rate_fps, clock, size)
        case CameraKind.PATTERN:
            from agent.adapters.camera_pattern import PatternCamera

            return PatternCamera(section.height_px, section.width_px, section.rate_fps, clock)
        case kind:
            raise ConfigError(f"camera.kind {kind!r} is not to be had on this host")
