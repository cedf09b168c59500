from agent.core.edgetpu.words import Bus, Obstacle, Ready, Tpu, Trouble
from agent.ports.accelerator import Sight
from agent.wire.ipc import EdgeTpu

TPU = Tpu(Bus.USB, 0, "/sys/bus/usb/devices/2-1")
GONE = Trouble(Obstacle.ABSENT, "no Edge TPU is plugged in", "plug one in")


class ScriptedAccelerator:
    """An `Accelerator` whose hardware the test plugs and pulls."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there
        self.looks: list[bool] = []
        """Whether it was opened, of each look."""

    async def look(self, edgetpu: EdgeTpu, *, opening: bool = False) -> Sight:
        assert edgetpu.library
        self.looks.append(opening)
        opened = self.there if opening else None
        return Sight((TPU,), Ready((TPU,)), opened=opened) if self.there else Sight((), GONE, opened=opened)
