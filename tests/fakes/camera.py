from queue import SimpleQueue

from agent.core.camera.frames import Frame
from agent.wire.errors import CameraFailed


class ScriptedCamera:
    """Gives the frames and failures that it is fed, in order, and waits when there are none.

    A failure fed while the camera is closed makes `open` fail.
    """

    def __init__(self) -> None:
        self._script: SimpleQueue[Frame | CameraFailed] = SimpleQueue()
        self._refusals: SimpleQueue[CameraFailed] = SimpleQueue()
        self.on_demand = self.sensor = False
        self.kind, self.note = "scripted", ""
        self.opened = 0
        self.is_open = False

    def feed(self, *steps: Frame | CameraFailed) -> None:
        for step in steps:
            self._script.put(step)

    def refuse_to_open(self, failure: CameraFailed) -> None:
        """Once."""
        self._refusals.put(failure)

    def open(self) -> None:
        if not self._refusals.empty():
            raise self._refusals.get()
        self.opened += 1
        self.is_open = True

    def read(self) -> Frame:
        assert self.is_open
        step = self._script.get()
        if isinstance(step, CameraFailed):
            raise step
        return step

    def close(self) -> None:
        self.is_open = False
