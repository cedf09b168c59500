"""The reading of the host put together."""

from agent.assemble.rules import hot_rule
from agent.config import Settings
from agent.core.telemetry.vitals import Watch
from agent.loops.telling.monitor import Monitor, Sources
from agent.loops.telling.post import Mail
from agent.loops.telling.roundtrip import TimedLink
from agent.ports.clock import Clock
from agent.ports.host import Host


def monitor(settings: Settings, host: Host, clock: Clock, link: TimedLink, mail: Mail) -> Monitor:
    return Monitor(
        host,
        clock,
        Watch(hot_rule(settings.thermal)),
        Sources(
            outbox_messages=mail.drain.depth,
            outbox_dropped=mail.drain.dropped,
            broker_ms=lambda: link.round_trip_ms,
        ),
        settings.telemetry.window_s,
    )
