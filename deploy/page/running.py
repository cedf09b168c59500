"""The fleet's page as a program: it looks, it answers, and it never signs anything."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from agent.adapters.clock_system import SystemClock
from agent.adapters.web.events import Streams
from agent.adapters.web.server import Down, Server, Tls, Up
from agent.adapters.web.site import site
from agent.core.page import place as places
from agent.core.page.place import Place
from agent.wire.errors import ConfigError
from deploy.adapters.workspace import Web, Workspace
from deploy.assemble.desk import workspaces
from deploy.assemble.desk.controlling import Desk
from deploy.assemble.desk.session import standing_by
from deploy.page.api import STATIC, FleetApi
from deploy.page.broker_news import BrokerNews
from deploy.page.collecting import Collecting, collecting
from deploy.page.gate import FleetGate
from deploy.page.onlooker import Onlooker
from deploy.page.people import People
from deploy.page.series_api import SeriesApi
from deploy.page.thread import LookerThread

WATCHERS_MAX: Final = 256
COUNTED_EVERY_S: Final = 30.0
"""Of a minute, so that each has one."""


def run(workspace: Workspace, *, until_eof: bool, tell: Callable[[str], None]) -> None:
    """Until SIGTERM or SIGINT, or the end of stdin where that belongs to a controller.

    Args:
        workspace: whose fleet is shown.
        until_eof: end with whoever holds the other end of stdin.
        tell: told in words where the page is, or why it cannot be.

    Raises:
        ConfigError: a setting is wrong, or the page would be open to everybody.
    """
    web, people = workspace.settings.web, People(workspace.users)
    place = places.parse(web.listen, web.proxy)
    require_guarded(place, people)
    with desk(workspace) as (at, news), collecting(workspace) as measured:
        looking = Onlooker(at, news)
        measured.follow(looking.hardware)
        asyncio.run(_serve(looking, measured, people, place, until_eof=until_eof, tell=tell))


def require_guarded(place: Place, people: People) -> None:
    """
    Raises:
        ConfigError: nobody would be asked who he is.
    """
    if people.fault:
        raise ConfigError(people.fault)
    if not place.loopback and not people.any:
        raise ConfigError(
            f"[web] listen = {str(place)!r} can be reached from elsewhere, and there are no users: "
            'shoal users add NAME makes one; or listen = "127.0.0.1:8470" and no proxy'
        )


@contextlib.contextmanager
def desk(workspace: Workspace) -> Iterator[tuple[Desk, BrokerNews]]:
    """Where the page looks from, whether or not a broker is there.

    Raises:
        ConfigError: a setting is wrong.
    """
    clock = SystemClock()
    repository = workspaces.open_repository(workspace)
    news = BrokerNews(clock, workspace.settings.broker.url)
    with standing_by(workspace, news.told) as session:
        yield Desk(workspace, session, repository, news.connections, lambda *_: None, clock), news


async def _serve(
    onlooker: Onlooker,
    measured: Collecting,
    people: People,
    place: Place,
    *,
    until_eof: bool,
    tell: Callable[[str], None],
) -> None:
    thread, streams = LookerThread(), Streams(WATCHERS_MAX)
    tls = _tls(onlooker.workspace.settings.web)
    gate = FleetGate(people, "fleet", tls=tls is not None, loopback=place.loopback)
    api = FleetApi(
        onlooker, thread, people, gate, streams, shows_only=not signs(onlooker.workspace.online_keys)
    )
    series = SeriesApi(measured, lambda: thread.run(onlooker.figures))
    app = site([*api.routes(), *series.routes()], gate, {"fleet": STATIC})
    server = Server(app, streams, place, tls, lambda turned: tell(_said(turned)))
    looking = thread.turn(onlooker.turn, api.fanout.tell, lambda: api.fanout.listeners > 0)
    works = (server.run(), looking, _counted(onlooker, measured), _told_to_end(until_eof=until_eof))
    tasks = [asyncio.ensure_future(each) for each in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        thread.close()


async def _counted(onlooker: Onlooker, measured: Collecting) -> None:
    """Keep what the fleet runs, for ever."""
    while True:
        running = onlooker.running()
        if running is not None:
            await asyncio.to_thread(measured.count, running)
        await asyncio.sleep(COUNTED_EVERY_S if running is not None else COUNTED_EVERY_S / 10)


async def _told_to_end(*, until_eof: bool) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_eof:
        # Whoever started this holds the other end, and never writes.
        loop.add_reader(sys.stdin.fileno(), stop.set)
    await stop.wait()


def signs(online_keys: Path) -> bool:
    """Whether this is the workspace that a controller can serve: a copy without keys only shows."""
    try:
        return any(online_keys.iterdir())
    except OSError:
        return False


def _tls(web: Web) -> Tls | None:
    """
    Raises:
        ConfigError: one of the two is missing.
    """
    if bool(web.certificate) is not bool(web.key):
        raise ConfigError("[web] in shoal.toml names a certificate or a key, and https needs both")
    return Tls(Path(web.certificate), Path(web.key)) if web.certificate else None


def _said(turned: Up | Down) -> str:
    match turned:
        case Up(url):
            return f"the page is at {url}"
        case Down(reason):
            return f"the page cannot be served ({reason}): it is tried again"
