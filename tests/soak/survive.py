"""What one device survives, once each: `make survive`.

SIGKILL of the worker, SIGKILL of the supervisor, a broker that goes away and comes back, and an orderly end;
then, where there is a C compiler to build the simulated Edge TPU with, the loss of one and its return, and
SIGKILL of a supervisor whose worker has it open. Times are printed, not judged: on an emulated processor they
mean nothing.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event as Flag

import pytest

from agent.adapters.link_mqtt import LinkSettings, MqttLink
from agent.ports.link import Message
from agent.wire import codec, topics
from agent.wire.reports import Presence, Status
from agent.wire.topics import Qos
from deploy.adapters.broker_local import start_broker
from tests import models
from tests.edgetpu_sim.simulator import Simulator, build
from tests.rig import DEVICE, LABELS, SHIPPED, Agent, Ear, Fleet, fleet, listening, replay
from tests.soak.flat import child_of

RATE_FPS = 10.0
ON_ITS_WAY_S = 1.0
"""What was on its way when something was killed has arrived when counting begins."""
COMPILED = models.TINY.replace(".tflite", "_edgetpu.tflite")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patience-s", type=float, default=120.0, help="for each step")
    parser.add_argument("--away-s", type=float, default=10.0, help="how long the broker is away")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shoal-survive-") as name:
        survive(Path(name), options.patience_s, options.away_s)
    with tempfile.TemporaryDirectory(prefix="shoal-survive-") as name:
        try:
            survive_with_an_edge_tpu(Path(name), options.patience_s)
        except pytest.skip.Exception as lacking:
            print(f"      -    no Edge TPU: {lacking}")
    print("survived")
    return 0


def survive(folder: Path, patience_s: float, away_s: float) -> None:
    """
    Raises:
        AssertionError: something was not survived.
    """
    with ExitStack() as up:
        broker = up.enter_context(start_broker(folder / "broker"))
        made = fleet(folder, broker.url)
        made.release(SHIPPED, "1", f"--labels={LABELS}")
        made.roll_out("1", "--trial-invoke-budget-ms=20000", "--trial-timeout-s=600")
        with Agent(folder, made, camera=replay(RATE_FPS)) as agent:
            with listening(made) as ear, _step("a release is pulled, proven and committed"):
                assert ear.ended("1", 5 * patience_s)["outcome"] == "committed"
            with listening(made) as ear:
                _kills(agent, ear, patience_s)
            last = _last_sequence(made, patience_s)
            up.close()
            time.sleep(away_s)
            up.enter_context(start_broker(folder / "broker", kind=broker.kind, port=broker.port))
            with _step("the broker is back: predictions flow again"):
                now = _last_sequence(made, patience_s)
            print(f"  frames {last} to {now} were counted through {away_s:g} s without it")
            assert now > last
            with _step("SIGTERM: an orderly end"):
                assert agent.stop(patience_s) == 0
            assert _presence(made, patience_s) is Presence.OFFLINE


def survive_with_an_edge_tpu(folder: Path, patience_s: float) -> None:
    """
    Raises:
        AssertionError: something was not survived.
        Skipped: there is no compiler, or there are no compiled models here.
    """
    compiled, twin = models.shared(COMPILED), models.shared(models.TINY)
    edgetpus = Simulator(build(folder), folder, os.environ.__setitem__)
    edgetpus.pair(compiled.read_bytes(), twin.read_bytes())
    edgetpus.plug()
    more = f'[runtime]\nedgetpu_library = "{edgetpus.library}"\ndelegate = "edgetpu"\n'
    with start_broker(folder / "broker") as broker:
        made = fleet(folder, broker.url)
        made.release(twin, "1", compiled=compiled)
        made.roll_out("1", "--trial-invoke-budget-ms=20000", "--trial-timeout-s=600")
        with (
            listening(made) as ear,
            Agent(folder, made, camera=replay(RATE_FPS), more=more) as agent,
        ):
            with _step("a compiled release is proven and committed"):
                assert ear.ended("1", 5 * patience_s)["outcome"] == "committed"
                _computes_on(ear, "edgetpu", patience_s)
            with _step("the Edge TPU is gone: the CPU variant serves"):
                edgetpus.unplug()
                _computes_on(ear, "xnnpack", patience_s)
            with _step("it is back: it serves again"):
                edgetpus.plug()
                _computes_on(ear, "edgetpu", patience_s)
            with _step("SIGKILL of the supervisor while it is open: started again, it opens it"):
                agent.kill()
                agent.start()
                time.sleep(ON_ITS_WAY_S)
                _computes_on(ear, "edgetpu", patience_s)
            with _step("SIGTERM: an orderly end"):
                assert agent.stop(patience_s) == 0


def _computes_on(ear: Ear, delegate: str, patience_s: float) -> None:
    count = len(ear.heard.predictions)
    ear.wait(lambda heard: delegate in {each.delegate for each in heard.predictions[count:]}, patience_s)


def _kills(agent: Agent, ear: Ear, patience_s: float) -> None:
    assert agent.process is not None
    with _step("SIGKILL of the worker: it predicts again"):
        child_of(agent.process.pid).kill()
        _predicts(ear, patience_s)
    with _step("SIGKILL of the supervisor: started again, it predicts"):
        agent.kill()
        agent.start()
        _predicts(ear, patience_s)


def _predicts(ear: Ear, patience_s: float) -> None:
    time.sleep(ON_ITS_WAY_S)
    count = len(ear.heard.predictions)
    ear.wait(lambda heard: len(heard.predictions) > count, patience_s)


def _last_sequence(made: Fleet, patience_s: float) -> int:
    with listening(made) as ear:
        return ear.wait(lambda heard: bool(heard.predictions), patience_s).predictions[-1].sequence


def _presence(made: Fleet, patience_s: float) -> Presence:
    host, port = made.url.removeprefix("mqtt://").rsplit(":", 1)
    link, told, found = MqttLink(LinkSettings(host, int(port), "survive")), Flag(), list[Message]()

    def take(message: Message) -> None:
        found.append(message)
        told.set()

    link.open(lambda _: None)
    link.subscribe([made.root.device(topics.STATUS, DEVICE)], Qos.AT_LEAST_ONCE, take)
    try:
        assert told.wait(patience_s), "no status is retained"
    finally:
        link.close()
    return codec.decode(found[-1].payload, Status).state


@contextmanager
def _step(name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:7.1f} s  {name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
