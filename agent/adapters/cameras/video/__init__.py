"""Cameras and videos that FFmpeg's libraries read, through PyAV: webcams, network streams, files."""

from agent.adapters.cameras.video.file import FileCamera
from agent.adapters.cameras.video.live import LiveCamera, Place
from agent.adapters.cameras.video.opening import Opener, open_container

__all__ = ["FileCamera", "LiveCamera", "Opener", "Place", "open_container"]
