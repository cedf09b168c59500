"""The device's figures for Prometheus, counted from when its page came up."""

from agent.core.telemetry import figures
from agent.loops.telling.figures import Counting
from agent.loops.telling.onlookers import About, Line


class Measuring:
    """What `/metrics` of the device's page tells. On the event loop."""

    def __init__(self, about: About, lines: tuple[Line, ...]) -> None:
        self._about = about
        self._counting = [Counting(line.name, line.report) for line in lines]
        self._unwatch = [line.watch(one) for line, one in zip(lines, self._counting, strict=True)]

    def told(self, accept: str) -> tuple[bytes, str]:
        """The figures and their type, for the `Accept` header of whoever asks."""
        from agent.adapters.exposition import exposition

        upstream = self._about.upstream
        about = figures.About(
            device=self._about.device,
            agent=self._about.agent,
            broker_up=None if upstream is None else upstream.broker.up,
        )
        made = exposition(figures.families(about, [one.figures for one in self._counting]), accept)
        return made.body, made.content_type

    def close(self) -> None:
        for unwatch in self._unwatch:
            unwatch()
