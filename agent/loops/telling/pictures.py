"""Pictures of a camera's newest frames, for whoever looks: none is made while nobody does."""

import asyncio
from typing import Final

from agent.ports.children import Worker
from agent.wire.commands import FRAME_MAX_BYTES
from agent.wire.errors import CameraFailed
from agent.wire.ipc import Snap, SnapFailed, Snapped

SIDE_PX: Final = 640
PER_S: Final = 10.0
"""However many look, and however fast the camera is."""
QUIET_S: Final = 0.5
"""Where nothing is classified for so long, a picture is taken all the same."""
SNAP_S: Final = 5.0
WAIT_S: Final = 10.0


class Pictures:
    """Of one pipeline. One picture is on its way at a time, and all who wait are given it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._newest: Snapped | None = None
        self._newest_s = self._asked_s = float("-inf")
        self._taking: asyncio.Task[Snapped | SnapFailed] | None = None
        self._arrival: asyncio.Event | None = None
        self._unseen = False
        """A frame was classified since the last picture."""

    def arrived(self) -> None:
        """A frame was classified."""
        self._unseen = True
        if self._arrival is not None:
            self._arrival.set()

    async def after(self, sequence: int) -> Snapped:
        """A picture of another frame than this one, which a browser has already; numbers begin anew with each
        worker, so a lower one is news too.

        Raises:
            CameraFailed: there is none, or no new frame within WAIT_S.
        """
        newest = self._newest
        if newest is not None and newest.sequence > sequence and self._fresh():
            return newest
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    taken = await self._next()
                    if isinstance(taken, SnapFailed):
                        raise CameraFailed(taken.detail)
                    if taken.sequence != sequence:
                        return taken
        except TimeoutError as error:
            raise CameraFailed(f"the camera gave no new frame within {WAIT_S:g} s") from error

    def _fresh(self) -> bool:
        return asyncio.get_running_loop().time() - self._newest_s < 1 / PER_S

    async def _next(self) -> Snapped | SnapFailed:
        """Whoever leaves takes nothing away from the others."""
        if self._taking is None or self._taking.done():
            self._taking = asyncio.create_task(self._take(), name="picture")
        return await asyncio.shield(self._taking)

    async def _take(self) -> Snapped | SnapFailed:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._asked_s + 1 / PER_S - loop.time()))
        await self._frame()
        self._asked_s, self._unseen = loop.time(), False
        taken = await self._worker.snap(Snap(side_px=SIDE_PX, max_bytes=FRAME_MAX_BYTES), SNAP_S)
        if isinstance(taken, Snapped):
            self._newest, self._newest_s = taken, loop.time()
        return taken

    async def _frame(self) -> None:
        """Wait until one is classified, so that its labels are known when it is seen."""
        if self._unseen:
            return
        self._arrival = asyncio.Event()
        try:
            async with asyncio.timeout(QUIET_S):
                await self._arrival.wait()
        except TimeoutError:
            pass
        finally:
            self._arrival = None
