"""Ten minutes without a broker, with a SIGKILL in the middle: `make outage MINUTES=10`.

A whole device keeps its events and predictions meanwhile; its worker is killed now and then, so that there
is something to tell. When the broker is back, everything must arrive, in order.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from agent.adapters.clock_system import SystemClock
from tests.rig import LABELS, SHIPPED, Agent, fleet
from tests.scenario.outage import (
    Judged,
    Outage,
    crash_worker,
    judge,
    kept_after,
    logged,
    reading,
    said_on,
)

CRASH_EVERY_S = 30.0
COMES_BACK_S = 60.0
"""The device's longest pause between two attempts to connect."""
DRAIN_PER_S = 200
KEEPING = f"[outbox]\npredictions = true\ndrain_per_s = {DRAIN_PER_S}\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shoal-outage-") as name, Outage(Path(name) / "broker") as outage:
        print(f"broker: {outage.broker.kind}; {options.minutes:g} minutes away", flush=True)
        crashes, judged = soak(Path(name), outage, options.minutes * 60)
    print(f"{len(judged.names)} events, {judged.predictions} predictions, {judged.repeats} repeats")
    print(f"missing: {judged.missing}; in order: {judged.in_order}")
    assert judged.missing == 0
    assert judged.in_order
    assert len(judged.sessions) == 2
    assert judged.names.count("worker.crashed") == crashes
    assert "outbox.dropped" not in judged.names
    return 0


def soak(folder: Path, outage: Outage, away_s: float) -> tuple[int, Judged]:
    made = fleet(folder, outage.broker.url)
    made.release(SHIPPED, "1", f"--labels={LABELS}")
    made.roll_out("1")
    said = said_on(made)
    with Agent(folder, made, url=outage.url, more=KEEPING) as agent:
        with reading(outage.broker, *said) as before:
            before.wait_until(lambda seen: sum(message.topic == said[1] for message in seen) > 100, 120.0)
            outage.cut()
        outage.begin()
        crashes = _pass(agent, away_s / 2, 0)
        agent.kill()
        print(f"  killed after {crashes} crashes of the worker", flush=True)
        agent.start()
        logged(agent, "model.serving", 2)
        crashes = _pass(agent, away_s / 2, crashes)
        outage.end()
        with reading(outage.broker, *said) as after:
            outage.mend()
            mended_at = SystemClock().now()
            within_s = COMES_BACK_S + 2 * away_s * 10 / DRAIN_PER_S
            after.wait_until(lambda seen: kept_after(seen[-1], said[1], mended_at), within_s)
            assert agent.stop() == 0
    return crashes, judge(made, [*before.items, *after.items])


def _pass(agent: Agent, span_s: float, crashes: int) -> int:
    """Let time pass; how often the worker had been killed by then."""
    end_s = time.monotonic() + span_s
    while time.monotonic() + CRASH_EVERY_S < end_s:
        time.sleep(CRASH_EVERY_S)
        crashes += 1
        crash_worker(agent, crashes)
    time.sleep(max(0.0, end_s - time.monotonic()))
    return crashes


if __name__ == "__main__":
    sys.exit(main())
