"""Whether a camera does what it should, judged by when its frames come and by a few of their pixels.

States are those of `CameraState`. A camera that is out (lost, busy, frozen) counts as back only after it
has given frames for a while, so that one that flickers is not reported at every flicker.
"""

from dataclasses import dataclass
from typing import Final

from agent.wire.reports import CAMERA_OUT, CameraState

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Glance:
    """A few pixels of a frame. The noise of a sensor makes two of them differ, even of a still scene."""

    pixels: bytes
    mean: float
    """Of the three channels, in [0, 255]."""


@dataclass(frozen=True, slots=True)
class Limits:
    silent_s: float = 6.0
    """Without a frame: the driver hangs. Above the time-outs of the cameras that have them."""
    opening_s: float = 30.0
    """The same while it is opened, which takes a network camera seconds."""
    frozen_s: float = 20.0
    """The very same picture for this long. Compressed streams repeat a still scene between key frames."""
    frozen_frames: int = 5
    black_s: float = 5.0
    black_below: float = 6.0
    lit_above: float = 10.0
    slow_window_s: float = 10.0
    slow_below_share: float = 0.5
    brisk_above_share: float = 0.7
    steady_s: float = 1.0
    """A camera that was out must give frames for this long."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The camera is in another state; the one before lasted so long."""

    state: CameraState
    detail: str
    lasted_s: float


STREAMED: Final = Limits(frozen_s=300.0)
"""Of a network camera: of a still scene its encoder sends the very same picture until the next key frame,
which those that save bandwidth put minutes apart.
"""
ANSWER_S: Final = 4.0


def answers_within_s(rate_fps: float) -> float:
    """After which a camera that can time out by itself does: before its driver counts as hung."""
    return max(ANSWER_S, 2.0 / rate_fps if rate_fps else 0.0)


def silent_after_s(rate_fps: float, limits: Limits) -> float:
    """How long a read may take: three frames of a slow camera."""
    return max(limits.silent_s, 3.0 / rate_fps if rate_fps else 0.0)


def patience_s(rate_fps: float, every_nth: int, least_s: float = 10.0) -> float:
    """How long a worker may stay without a prediction while its camera is well, in seconds."""
    return max(least_s, 3.0 * every_nth / rate_fps + least_s / 2 if rate_fps else 0.0)


class Health:
    """The state of one camera. Instants are nanoseconds on the monotonic clock."""

    def __init__(self, rate_fps: float, limits: Limits, now_ns: int) -> None:
        """
        Args:
            rate_fps: frames a second that the camera was asked for; 0: as many as it likes.
            limits: when it is judged to be what.
            now_ns: when it is first opened.
        """
        self._rate_fps, self._limits = rate_fps, limits
        self.state = CameraState.OPENING
        self._since_ns = now_ns
        self._first_ns: int | None = None
        """Its first frame since it was opened."""
        self._stood: bytes | None = None
        """The picture that it gave again and again when it was last in service."""
        self._look = _Look(limits, rate_fps)
        self._flow = _Flow(limits, rate_fps)

    def opened(self) -> None:
        self._first_ns = None
        self._look = _Look(self._limits, self._rate_fps)
        self._flow = _Flow(self._limits, self._rate_fps)

    def failed(self, now_ns: int, state: CameraState, detail: str) -> Turn | None:
        """It is out; another reason for the same state is no news."""
        return self._turn(now_ns, state, detail)

    def frame(self, now_ns: int, seen: Glance | None, frames: int = 1) -> Turn | None:
        """A frame came.

        Args:
            now_ns: when.
            seen: its pixels; None where the camera is no sensor (a folder of photographs, say), so that
                pictures and their number say nothing about its health.
            frames: how many the camera gave since the last call, with those that nobody read.
        """
        if seen is None:
            return self._turn(now_ns, CameraState.LIVE, "")
        if self._first_ns is None:
            self._first_ns = now_ns
        self._look.see(now_ns, seen)
        self._flow.count(now_ns, frames)
        state, detail = self._judged(now_ns)
        if state is CameraState.FROZEN:
            self._stood = seen.pixels
        if (
            self.state in CAMERA_OUT
            and self.state is not CameraState.OPENING
            and not self._back(now_ns, seen)
        ):
            return None
        if state is not CameraState.FROZEN:
            self._stood = None
        return self._turn(now_ns, state, detail)

    def repeats(self, now_ns: int) -> bool:
        """It gives one picture again and again since it was opened, which opening it anew may cure."""
        return self._look.frozen(now_ns)

    def _judged(self, now_ns: int) -> tuple[CameraState, str]:
        look, flow = self._look, self._flow
        if look.black:
            return CameraState.BLACK, "it sees nothing but black: is its lens covered, or its light off?"
        if look.frozen(now_ns):
            return CameraState.FROZEN, f"the very same picture for {look.same_s(now_ns):.0f} s"
        if flow.slow:
            return CameraState.SLOW, f"{flow.fps:.2g} of {self._rate_fps:g} frames a second"
        return CameraState.LIVE, ""

    def _back(self, now_ns: int, seen: Glance) -> bool:
        assert self._first_ns is not None
        steady = now_ns - self._first_ns >= self._limits.steady_s * SECOND_NS
        return steady and seen.pixels != self._stood

    def _turn(self, now_ns: int, state: CameraState, detail: str) -> Turn | None:
        if state is self.state:
            return None
        turn = Turn(state, detail, (now_ns - self._since_ns) / SECOND_NS)
        self.state, self._since_ns = state, now_ns
        return turn


class _Look:
    """What its pictures look like."""

    def __init__(self, limits: Limits, rate_fps: float) -> None:
        self._limits = limits
        period_s = 1 / rate_fps if rate_fps else 0.0
        self._frozen_ns = max(limits.frozen_s, limits.frozen_frames * period_s) * SECOND_NS
        self._last: bytes | None = None
        self._same_since_ns = 0
        self._same = 0
        self._dark_since_ns: int | None = None
        self.black = False

    def see(self, now_ns: int, seen: Glance) -> None:
        if seen.pixels == self._last:
            self._same += 1
        else:
            self._last, self._same_since_ns, self._same = seen.pixels, now_ns, 1
        self._darkness(now_ns, seen.mean)

    def frozen(self, now_ns: int) -> bool:
        enough = self._same >= self._limits.frozen_frames
        long = now_ns - self._same_since_ns >= self._frozen_ns
        return enough and long and not self.black and self._noisy()

    def _noisy(self) -> bool:
        """A pixel that has all light or none shows no noise, however alive the camera is."""
        return self._last is not None and bool(self._last.strip(b"\x00\xff"))

    def same_s(self, now_ns: int) -> float:
        return (now_ns - self._same_since_ns) / SECOND_NS

    def _darkness(self, now_ns: int, mean: float) -> None:
        limits = self._limits
        if mean > (limits.lit_above if self.black else limits.black_below):
            self._dark_since_ns, self.black = None, False
        elif self._dark_since_ns is None:
            self._dark_since_ns = now_ns
        elif now_ns - self._dark_since_ns >= limits.black_s * SECOND_NS:
            self.black = True


class _Flow:
    """How many frames come, counted over windows of at least five."""

    def __init__(self, limits: Limits, rate_fps: float) -> None:
        self._limits, self._rate_fps = limits, rate_fps
        self._window_ns = max(limits.slow_window_s, 5 / rate_fps if rate_fps else 0.0) * SECOND_NS
        self._began_ns: int | None = None
        self._frames = 0
        self.fps = 0.0
        """Of the last window."""
        self.slow = False

    def count(self, now_ns: int, frames: int) -> None:
        if self._began_ns is None:
            self._began_ns = now_ns
            return
        self._frames += frames
        took_ns = now_ns - self._began_ns
        if took_ns < self._window_ns or not self._rate_fps:
            return
        self.fps = self._frames * SECOND_NS / took_ns
        limit = self._limits.brisk_above_share if self.slow else self._limits.slow_below_share
        self.slow = self.fps < limit * self._rate_fps
        self._began_ns, self._frames = now_ns, 0
