"""Where whoever stands at the device says that he wants a release."""

from typing import Protocol

from agent.core.page.words import Offered
from agent.wire.topics import Digest


class Word(Protocol):
    """Blocking, and used by one thread at a time. It never fails: where nothing can be read, nobody has said
    anything.
    """

    def offer(self, offered: Offered | None) -> None:
        """Show what waits; None: nothing does."""
        ...

    def taken(self) -> Digest | None:
        """The manifest that somebody has accepted since this was last asked."""
        ...
