"""The device's page: put together when `[web]` asks for one, and taken down when it no longer does."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.assemble.commands import PipelineHands
from agent.assemble.figures import Measuring
from agent.assemble.pipeline import Pipeline
from agent.config import Web
from agent.core.page.place import parse
from agent.core.page.words import Offered, Past
from agent.loops.telling.onlookers import About, Line, Onlookers
from agent.ports.children import Worker
from agent.ports.clock import Clock
from agent.ports.onlooker import Onlooker
from agent.wire.errors import ConfigError
from agent.wire.reports import Report

if TYPE_CHECKING:
    from agent.adapters.web.server import Down, Server, Up

log = logging.getLogger(__name__)

PASSWORD_MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class PipelineLine:
    """See `agent.loops.telling.onlookers.Line`."""

    pipeline: Pipeline
    hands: PipelineHands

    @property
    def name(self) -> str:
        return self.pipeline.name

    @property
    def report(self) -> Report:
        return self.pipeline.reporter.report

    @property
    def worker(self) -> Worker:
        return self.pipeline.worker

    @property
    def past(self) -> tuple[Past, ...]:
        return self.pipeline.chronicle.past

    @property
    def offered(self) -> Offered | None:
        return self.pipeline.update.acceptance.offered

    def watch(self, onlooker: Onlooker) -> Callable[[], None]:
        return self.pipeline.reporter.watch(onlooker)

    def accept(self, version: str) -> None:
        self.pipeline.update.acceptance.accept(version)

    def pause(self, *, paused: bool) -> None:
        self.hands.pause(paused=paused)


def shown(pipeline: Pipeline) -> PipelineLine:
    return PipelineLine(
        pipeline, PipelineHands(pipeline.worker, pipeline.pacer, pipeline.reporter, pipeline.look)
    )


class Page:
    """Whatever goes wrong with it is logged, and harms nothing else.

    Args:
        web: its section of the configuration.
        about: the device.
        lines: of the device.
        clock: for what it tells.
        turned: told when it listens, and when it cannot.
    """

    def __init__(
        self,
        web: Web,
        about: About,
        lines: tuple[Line, ...],
        clock: Clock,
        turned: "Callable[[Up | Down], None]" = lambda _: None,
    ) -> None:
        self._web, self._about, self._lines, self._clock = web, about, lines, clock
        self._turned = turned
        self._changed = asyncio.Event()

    def configure(self, web: Web) -> None:
        """The file was read again: it comes up anew where its section is another one, or may be, as with a
        password that stands in a file of its own.
        """
        if web != self._web or web.password_file or web.certificate:
            self._web = web
            self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            serving = asyncio.ensure_future(self._serve(self._web))
            try:
                await asyncio.wait((changed, serving), return_when=asyncio.FIRST_COMPLETED)
                if serving.done() and (failed := serving.exception()) is not None:
                    log.critical("page.failed", exc_info=failed)
                await changed
            finally:
                changed.cancel()
                serving.cancel()
                await asyncio.gather(changed, serving, return_exceptions=True)

    async def _serve(self, web: Web) -> None:
        if not web.listen:
            return
        try:
            server, close = await self._server(web)
        except ConfigError as error:
            log.warning("page.refused", extra={"reason": str(error)})
            return
        try:
            await server.run()
        finally:
            close()

    async def _server(self, web: Web) -> "tuple[Server, Callable[[], None]]":
        """With what is called once it has ended.

        Raises:
            ConfigError: the password cannot be read, or there is none though others can reach the page.
        """
        secret = await asyncio.to_thread(password, web)
        # A second of imports on a small board, during which the loop must go on.
        await asyncio.to_thread(_load)
        from agent.adapters.web.device import DevicePage
        from agent.adapters.web.events import Streams
        from agent.adapters.web.gate import Gate
        from agent.adapters.web.passwords import OnePassword
        from agent.adapters.web.server import Server, Tls
        from agent.adapters.web.site import site

        place = parse(web.listen, web.proxy)
        tls = Tls(Path(web.certificate), Path(web.key)) if web.certificate else None
        gate = Gate(OnePassword(secret) if secret else None, str(place.port), tls=tls is not None)
        streams, onlookers = Streams(), Onlookers(self._about, self._lines, self._clock)
        measuring = Measuring(self._about, self._lines)
        app = site(DevicePage(onlookers, gate, streams, measuring.told).routes(), gate)

        def close() -> None:
            onlookers.close()
            measuring.close()

        return Server(app, streams, place, tls, self._turned), close


def _load() -> None:
    from agent.adapters import exposition  # noqa: F401 - that they are loaded is all that counts
    from agent.adapters.web import device, server, site  # noqa: F401 - same


def password(web: Web) -> str:
    """What the page asks for; empty: nothing. Blocking.

    Raises:
        ConfigError: it cannot be read or is empty, or there is none though others can reach the page.
    """
    if web.password_file:
        return first_line(Path(web.password_file), "web.password_file")
    if not parse(web.listen, web.proxy).loopback:
        raise ConfigError(
            f"web.listen {web.listen!r} can be reached from elsewhere: name a web.password_file"
        )
    return ""


def first_line(path: Path, asked: str) -> str:
    """The password in the file. Blocking.

    Args:
        path: of the file.
        asked: who named the file, for what is said where it does not serve.

    Raises:
        ConfigError: it cannot be read, or its first line is empty.
    """
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.readline(PASSWORD_MAX_BYTES).strip()
    except OSError as error:
        raise ConfigError(f"{asked} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{asked} {path} is not UTF-8 text") from error
    if not secret:
        raise ConfigError(f"{asked} {path} has an empty first line: write the password into it")
    return secret
