"""What the factory is at, for whoever waits."""

from deploy.cli import output
from deploy.core.factory.words import Progress


class ProgressLines:
    """A line for each new piece of work, and for each tenth of one that takes long."""

    def __init__(self, *, counted_from: int = 1) -> None:
        """
        Args:
            counted_from: what is done in fewer parts is over while one reads its line.
        """
        self._counted_from = counted_from
        self._last = ("", 0)

    def note(self, progress: Progress) -> None:
        long = progress.total >= self._counted_from
        tenth = 10 * progress.done // progress.total if long and progress.total else 0
        if (progress.what, tenth) == self._last:
            return
        self._last = (progress.what, tenth)
        counted = f", {progress.done:,} of {progress.total:,}" if tenth else ""
        output.note(f"{progress.what}{counted} ...")
