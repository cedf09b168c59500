"""Kills a controller between any two of its steps, and looks what the next one makes of it.

    python -m tests.soak.kill_controller [POINT...]

prints a line for each point. Every life is a process of its own: who is killed has no time to speak,
and the next one knows nothing but what stands on disk and on the broker. One rollout lives through all of it,
a wave for each point.
"""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.adapters.clock_system import SystemClock
from agent.adapters.link_mqtt import MqttLink
from agent.wire import topics
from deploy.adapters.ledger_sqlite import SqliteLedger
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.repository_tuf.shelf import Shelf
from deploy.core.fence import Stands
from deploy.core.rollouts.words import Steered
from tests.brokers import PlainMosquitto
from tests.fakes.controlled import Controlled

DEVICES = 6
Act = Callable[..., object]


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(_: Act) -> Act:
    return die


def after(act: Act) -> Act:
    def done(*given: object, **named: object) -> None:
        act(*given, **named)
        die()

    return done


def at_publish(number: int) -> Callable[[Act], Act]:
    def counted(act: Act) -> Act:
        left = [number]

        def publish(*given: object) -> object:
            left[0] -= 1
            return die() if left[0] == 0 else act(*given)

        return publish

    return counted


POINTS: dict[str, tuple[type, str, Callable[[Act], Act]]] = {
    "before it is written": (SqliteLedger, "append", before),
    "written": (SqliteLedger, "append", after),
    "before it is signed": (TufRepository, "set_plan", before),
    "signed, not yet what counts": (Shelf, "commit", before),
    "signed": (TufRepository, "set_plan", after),
    "before anything is published": (MqttLink, "publish", at_publish(1)),
    "half published": (MqttLink, "publish", at_publish(3)),
    "published but the timestamp": (MqttLink, "publish", at_publish(9)),
    "published, not read back": (MqttLink, "publish", at_publish(10)),
}


def life(live: Callable[[], None]) -> int:
    """The signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        live()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def main() -> int:
    """1 where a life went on otherwise than it should."""
    with tempfile.TemporaryDirectory() as folder, PlainMosquitto(Path(folder)) as broker:
        return lived(Path(folder), broker.url, sys.argv[1:] or list(POINTS))


def lived(fleet: Path, url: str, points: Sequence[str]) -> int:
    wrong = 0
    assert life(lambda: first_wave(fleet, url, len(points))) == 0
    for number, point in enumerate(points, 1):
        told = fleet / f"{number}.json"
        killed = life(lambda point=point: killed_turn(fleet, url, *POINTS[point]))
        again = life(lambda told=told: next_life(fleet, url, told))
        found = json.loads(told.read_text()) if told.exists() else {}
        right = {"waves": list(range(number + 1)), "signed": True, "stands": True, "left": False}
        good = (killed, again) == (signal.SIGKILL, 0) and found == right
        wrong += not good
        print(
            f"{'gone on with' if good else 'WRONG'}: killed {point}", *([] if good else [found]), flush=True
        )
    return min(wrong, 1)


def opened(folder: Path, url: str) -> Controlled:
    return Controlled(folder, clock=SystemClock(), root=topics.root(f"shoal/{folder.name}"), url=url)


def first_wave(folder: Path, url: str, kills: int) -> None:
    fleet = opened(folder, url)
    fleet.puppets.appear(fleet.ids(kills + 2))
    with fleet.desk() as desk:
        desk.assert_stands()
        fleet.start(desk, *(str(number) for number in range(1, kills + 3)))
    fleet.follow()


def killed_turn(folder: Path, url: str, kind: type, name: str, how: Callable[[Act], Act]) -> None:
    fleet = opened(folder, url)
    with fleet.desk() as desk:
        desk.assert_stands()
        setattr(kind, name, how(getattr(kind, name)))
        fleet.turn(desk)


def next_life(folder: Path, url: str, told: Path) -> None:
    """It ends what was begun, once; the devices do what then stands, and the next wave may come."""
    fleet = opened(folder, url)
    with fleet.desk() as desk:
        fleet.turn(desk)
        steered = [line.entry for line in desk.ledger.lines() if isinstance(line.entry, Steered)]
        with desk.acting():
            stands = desk.look() == Stands()
        signed = desk.repository.plan("main") == steered[-1].plan
        outstanding = desk.outstanding
    waves = [entry.wave for entry in steered]
    told.write_text(json.dumps({"waves": waves, "signed": signed, "stands": stands, "left": outstanding}))
    fleet.follow()


if __name__ == "__main__":
    sys.exit(main())
