"""The reading of the host put together."""

from pathlib import Path

from agent.adapters.machine.sensors import LinuxHost
from agent.assemble.rules import hot_rule
from agent.config import Settings
from agent.core.telemetry.vitals import Watch
from agent.loops.telling.monitor import Monitor, Sources
from agent.loops.telling.post import Mail
from agent.loops.telling.roundtrip import TimedLink
from agent.ports.clock import Clock


def monitor(settings: Settings, clock: Clock, link: TimedLink, mail: Mail) -> Monitor:
    return Monitor(
        LinuxHost(Path(settings.device.state_dir)),
        clock,
        Watch(hot_rule(settings.thermal)),
        Sources(
            outbox_messages=mail.drain.depth,
            outbox_dropped=mail.drain.dropped,
            broker_ms=lambda: link.round_trip_ms,
        ),
        settings.telemetry.window_s,
    )
