"""An RTSP server on loopback for one camera: enough of RFC 2326 for one client at a time, pictures as MPEG
transport stream (payload type 33, RFC 2250) interleaved with the control connection.
"""

import contextlib
import io
import socket
import struct
import threading
import time
from fractions import Fraction

import numpy as np

TS_PACKET = 188
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"


class Encoder:
    """Pictures to a transport stream, bit by bit."""

    def __init__(self, width: int, height: int) -> None:
        import av

        self._av = av
        self._out, self._pts = io.BytesIO(), -1
        self._container = av.open(self._out, "w", format="mpegts", options={"flush_packets": "1"})
        self._stream = self._container.add_stream("mpeg4", rate=25)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt, self._stream.bit_rate, self._stream.gop_size = "yuv420p", 4_000_000, 1
        self._stream.codec_context.time_base = Fraction(1, 1000)

    def encode(self, pixels: np.ndarray, at_s: float) -> bytes:
        frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
        # Two pictures of one millisecond are refused, and a held-up server sends some.
        self._pts = max(self._pts + 1, round(at_s * 1000))
        frame.pts, frame.time_base = self._pts, Fraction(1, 1000)
        self._container.mux(self._stream.encode(frame))
        content = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return content

    def close(self) -> None:
        self._container.close()


class RtspServer:
    """Shows a numbered grey level `rate_fps` times a second to whoever plays, until it is stalled or cut."""

    def __init__(self, rate_fps: float = 20.0, size: tuple[int, int] = (64, 48)) -> None:
        self._period_s, self._size = 1 / rate_fps, size
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://user:secret@127.0.0.1:{self._listener.getsockname()[1]}/live"
        self.shown: list[float] = []
        """When each picture was sent."""
        self.stalled = threading.Event()
        self._client: socket.socket | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Drop the client; the next one is served again."""
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._thread.join(10)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                self._client, _ = self._listener.accept()
            except OSError:
                return
            with self._client, contextlib.suppress(OSError):
                if self._talk(self._client):
                    self._play(self._client)

    def _talk(self, client: socket.socket) -> bool:
        """The requests up to PLAY."""
        reader = client.makefile("rb")
        while request := reader.readline():
            method = request.split()[0].decode()
            sequence = ""
            while (line := reader.readline().strip()) != b"":
                name, _, value = line.decode().partition(":")
                sequence = value.strip() if name.lower() == "cseq" else sequence
            client.sendall(_reply(method, sequence))
            if method == "PLAY":
                return True
        return False

    def _play(self, client: socket.socket) -> None:
        encoder, width, height = Encoder(*self._size), *self._size
        began, packets = time.monotonic(), 0
        try:
            for index in range(100_000):
                while self.stalled.is_set() and not self._closing.is_set():
                    time.sleep(0.01)
                due = began + index * self._period_s
                time.sleep(max(0.0, due - time.monotonic()))
                at_s = time.monotonic() - began
                pixels = np.full((height, width, 3), 40 + 7 * index % 180, np.uint8)
                pixels[:, : width // 2] = (200, 20, 20)
                content = encoder.encode(pixels, at_s)
                for start in range(0, len(content), 7 * TS_PACKET):
                    piece = content[start : start + 7 * TS_PACKET]
                    header = struct.pack(">BBHII", 0x80, 33, packets & 0xFFFF, round(at_s * 90_000), 7)
                    client.sendall(struct.pack(">cBH", b"$", 0, len(header) + len(piece)) + header + piece)
                    packets += 1
                self.shown.append(time.monotonic())
        finally:
            encoder.close()


def _reply(method: str, sequence: str) -> bytes:
    head = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n"
    match method:
        case "OPTIONS":
            return f"{head}Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n".encode()
        case "DESCRIBE":
            return f"{head}Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}".encode()
        case "SETUP":
            return (
                f"{head}Session: 1;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
            ).encode()
        case _:
            return f"{head}Session: 1\r\n\r\n".encode()
