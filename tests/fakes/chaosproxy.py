"""A TCP proxy on loopback that behaves like a bad network.

`with ChaosProxy("127.0.0.1", 1883) as proxy:` listens on `proxy.port`. Its faults are plain attributes
that a test sets at any time; they act on connections that stand, too. Packet loss is not modelled, because
TCP hides it: use latency and cuts.
"""

import asyncio
import socket
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
_READ_BYTES = 16_384


class ChaosProxy:
    def __init__(self, host: str, port: int) -> None:
        self.latency_s = 0.0
        """One way, each way."""
        self.rate_bytes_s = 0
        """Downstream, each connection; 0 is unlimited."""
        self.cut_after_bytes = 0
        """Reset a connection that has carried that much downstream; 0 is never."""
        self.cuts_max = 0
        """After so many cuts there are no more; 0 is no end."""
        self.partition = False
        """Forward nothing and say nothing: a half-open link."""
        self.refuse = False
        """Reset every new connection at once."""
        self.bytes_up = self.bytes_down = self.connections = self.cuts = 0
        """`bytes_down` counts what was handed to the network, whose buffer is small."""
        self.host = HOST
        self.port = 0
        self._upstream = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._connected_tasks: set[asyncio.Task[None]] = set()
        self._listening = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="chaosproxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(5.0), "the proxy does not listen"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5.0)

    def drop_all(self) -> None:
        """Reset every connection that stands."""
        self._loop.call_soon_threadsafe(self._abort)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stop.wait()
        server.close()
        for task in self._connected_tasks:
            task.cancel()
        await asyncio.gather(*self._connected_tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connected(reader, writer))
        self._connected_tasks.add(task)
        task.add_done_callback(self._connected_tasks.discard)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        except asyncio.CancelledError:
            await _end({writer})
            raise
        ends = {writer, far_writer}
        self._writers |= ends
        pumps = {
            asyncio.create_task(self._up(reader, far_writer)),
            asyncio.create_task(self._down(far_reader, writer)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            try:
                await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                # The proxy may end at the moment at which the connection does.
                self._writers -= ends
                await _end(ends)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _DelayLine(self, writer, lambda length: length) as line:
            while piece := await self._read(reader):
                self.bytes_up += len(piece)
                await line.put(piece)

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _READ_BYTES)
        carried = 0

        def carries(length: int) -> int:
            nonlocal carried
            cutting = self.cut_after_bytes > 0 and not 0 < self.cuts_max <= self.cuts
            passing = min(length, self.cut_after_bytes - carried) if cutting else length
            carried += passing
            self.bytes_down += passing
            self.cuts += passing < length
            return passing

        async with _DelayLine(self, writer, carries) as line:
            while piece := await self._read(reader):
                await line.put(piece)
                if self.rate_bytes_s:
                    await asyncio.sleep(len(piece) / self.rate_bytes_s)

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        piece = await reader.read(_READ_BYTES)
        while self.partition:  # noqa: ASYNC110 - set by the thread of the test
            await asyncio.sleep(0.02)
        return piece


async def _end(writers: set[asyncio.StreamWriter]) -> None:
    """Reset these connections, and stay until their sockets are closed."""
    for writer in writers:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


class _DelayLine:
    """Writes pieces in order, each `latency_s` after it came in; leaving it waits for what is under way.
    `carries` says how much of so many bytes passes: less than all is the end of the connection.
    """

    def __init__(
        self, proxy: ChaosProxy, writer: asyncio.StreamWriter, carries: Callable[[int], int]
    ) -> None:
        self._proxy, self._carries = proxy, carries
        self._writer = writer
        self._pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        self._task = asyncio.create_task(self._write())

    async def put(self, piece: bytes) -> None:
        due = asyncio.get_running_loop().time() + self._proxy.latency_s
        await self._pieces.put((due, piece))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            await self._pieces.put((0.0, b""))
            await asyncio.gather(self._task, return_exceptions=True)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self) -> None:
        while (entry := await self._pieces.get())[1]:
            due, piece = entry
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            passing = self._carries(len(piece))
            self._writer.write(piece[:passing])
            await self._writer.drain()
            if passing < len(piece):
                self._writer.transport.abort()
                return
