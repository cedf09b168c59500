"""`camera = "auto"`: the first camera that works."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from agent.core.camera.frames import Frame
from agent.core.camera.stream import Numbers
from agent.ports.camera import Camera
from agent.wire.errors import CameraBusy, CameraFailed


class FirstThatWorks:
    """Works means: it opens and gives a frame. Looked for anew at each opening."""

    def __init__(self, candidates: Callable[[], Sequence[tuple[str, Callable[[], Camera]]]]) -> None:
        self._candidates = candidates
        self._camera: Camera | None = None
        self._first: Frame | None = None
        self._numbers = Numbers()
        self.on_demand, self.sensor, self.kind, self.note = False, True, "auto", ""

    def open(self) -> None:
        refused: list[str] = []
        busy = False
        for name, make in self._candidates():
            camera = make()
            try:
                camera.open()
                self._first = camera.read()
            except CameraFailed as error:
                camera.close()
                busy = busy or isinstance(error, CameraBusy)
                refused.append(f"{name}: {str(error).partition('; ')[0]}")
                continue
            self._take(camera, refused)
            return
        raise _none(refused, busy=busy)

    def read(self) -> Frame:
        assert self._camera is not None
        frame, self._first = self._first or self._camera.read(), None
        return replace(frame, sequence=self._numbers.next(frame.sequence))

    def close(self) -> None:
        self._first = None
        if self._camera is not None:
            self._camera.close()

    def _take(self, camera: Camera, refused: Sequence[str]) -> None:
        self._camera = camera
        self._numbers.begin()
        self.on_demand, self.sensor, self.kind = camera.on_demand, camera.sensor, camera.kind
        self.note = " · ".join(filter(None, (camera.note, *(f"not {why}" for why in refused))))


def _none(refused: Sequence[str], *, busy: bool) -> CameraFailed:
    if not refused:
        return CameraFailed("there is no camera; plug one in, or name another camera.kind")
    said = f"({' · '.join(refused)}); set camera.kind to one of them to read how it is cured"
    return CameraBusy(f"no camera is free {said}") if busy else CameraFailed(f"no camera works {said}")
