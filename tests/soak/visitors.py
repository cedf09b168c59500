"""Who looks at a device while it is measured: a browser that comes and goes, Prometheus, a Home Assistant.

A browser looks for ten seconds and is away for ten; it leaves as a closed tab does, in the middle of what it
reads. Home Assistant restarts whenever the browser leaves, and wants everything said again.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from threading import Event, Thread
from urllib.request import urlopen

from agent.adapters.link_mqtt import LinkSettings
from agent.wire.topics import House
from tests.mosquittos import Client, client

VISIT_S = 10.0
SCRAPE_S = 5.0
ANSWER_S = 60.0


class Visitors:
    """Counts what they got, so that a page that answered nobody is no flat one."""

    def __init__(self, page: str, home: Client, house: House) -> None:
        self._page, self._home, self._house = page, home, house
        self._over = Event()
        self.scrapes = self.visits = self.pictures = 0

    def scrape(self) -> None:
        while not self._over.wait(SCRAPE_S):
            self._get("metrics")
            self.scrapes += 1

    def visit(self) -> None:
        while not self._over.wait(VISIT_S):
            with urlopen(f"{self._page}api/stream", timeout=ANSWER_S) as stream:
                stream.readline()
                self._look(time.monotonic() + VISIT_S)
            self.visits += 1
            self._home.say(self._house.status(), b"online")

    def leave(self) -> None:
        self._over.set()

    def _look(self, until_s: float) -> None:
        newest = "-1"
        while time.monotonic() < until_s and not self._over.is_set():
            newest = self._get(f"api/frame?after={newest}")
            self.pictures += 1

    def _get(self, path: str) -> str:
        """The number of the frame, where it is one."""
        with urlopen(self._page + path, timeout=ANSWER_S) as answer:
            assert answer.read(), path
            return str(answer.headers.get("X-Shoal-Sequence", ""))


@contextlib.contextmanager
def visited(page: str, broker: LinkSettings, house: House) -> Iterator[Visitors]:
    """
    Args:
        page: its address.
        broker: where Home Assistant says that it has started.
        house: that Home Assistant's topics.

    Raises:
        AssertionError: a visitor gave up before it was time.
    """
    with client(broker) as home:
        visitors = Visitors(page, home.up(), house)
        running = [_begun(each) for each in (visitors.scrape, visitors.visit)]
        try:
            yield visitors
        finally:
            alive = all(each.is_alive() for each in running)
            visitors.leave()
            for each in running:
                each.join(ANSWER_S)
    assert alive, "a visitor was not answered"


def _begun(visitor: Callable[[], None]) -> Thread:
    thread = Thread(target=visitor, daemon=True)
    thread.start()
    return thread
