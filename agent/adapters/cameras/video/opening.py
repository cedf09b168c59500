"""Opening what FFmpeg reads, and its errors in words."""

import errno
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from agent.core.redaction import HIDDEN, shown_url
from agent.wire.errors import CameraBusy, CameraFailed, CameraFrozen

if TYPE_CHECKING:
    from av import FFmpegError
    from av.container import InputContainer

OPEN_S: Final = 10.0

_SAID: Final[Mapping[int, str]] = {
    errno.ENOENT: "is not there; plug the camera in, or correct its name in the configuration",
    errno.EACCES: "may not be opened by this user; add the user to the group video",
    errno.EPERM: "may not be opened by this user; add the user to the group video",
    errno.ECONNREFUSED: "nobody answers at this address; start the camera's server, or correct camera.url",
    errno.EHOSTUNREACH: "cannot be reached; check the network and camera.url",
    errno.ENETUNREACH: "cannot be reached; check the network and camera.url",
    errno.ENOTTY: "is no camera; choose another device",
    errno.EINVAL: "does not give pictures of this kind; choose another size, rate or device",
}
_SAID_OF_FILE: Final[Mapping[int, str]] = {
    errno.ENOENT: "is not there; correct camera.file",
    errno.EACCES: "may not be read by this user; let it",
    errno.EPERM: "may not be read by this user; let it",
    errno.EIO: "is cut short or damaged; choose another",
}
_GONE: Final = frozenset({errno.ENODEV, errno.ENXIO, errno.EIO})


class Opener(Protocol):
    """As `open_container`."""

    def __call__(
        self, place: str, *, format_name: str | None, options: dict[str, str], read_s: float
    ) -> "InputContainer": ...


def open_container(
    place: str, *, format_name: str | None, options: dict[str, str], read_s: float
) -> "InputContainer":
    """
    Args:
        place: a path or an address.
        format_name: FFmpeg's name of the input; None: found out.
        options: FFmpeg's, of this input.
        read_s: how long a read may take; opening takes a network camera longer.

    Raises:
        CameraFailed: PyAV is not installed, or what `said` makes of FFmpeg's refusal.
    """
    try:
        import av  # noqa: PLC0415 - an extra, which the other cameras do without
    except ImportError as error:
        raise CameraFailed(f"PyAV cannot be used: {error}; pip install 'shoal[camera]'") from error
    open_s, began_s = max(OPEN_S, read_s), time.monotonic()
    try:
        return av.open(place, format=format_name, options=options, timeout=(open_s, read_s))
    except av.FFmpegError as error:
        # FFmpeg may blame an answer that was cut short by the time-out for what it says.
        if time.monotonic() - began_s >= open_s:
            raise _silent(shown(place), open_s) from error
        raise said(place, error, open_s) from error


def said(place: str, error: "FFmpegError", waited_s: float) -> CameraFailed:
    """FFmpeg's error as one sentence with its remedy; `waited_s` is what a time-out stands for."""
    name, number = shown(place), error.errno
    if number is not None and _is_file(place) and number in _SAID_OF_FILE:
        return CameraFailed(f"{name} {_SAID_OF_FILE[number]}")
    if number == errno.EBUSY:
        return CameraBusy(f"{name}: another process has it; stop that process, or share its camera")
    if number in _GONE:
        return CameraFailed(f"{name} is gone; plug the camera in again")
    if number is not None and number in _SAID:
        return CameraFailed(f"{name} {_SAID[number]}")
    match type(error).__name__:
        case "ExitError" | "TimeoutError":
            return _silent(name, waited_s)
        case "HTTPUnauthorizedError" | "HTTPForbiddenError":
            return CameraFailed(f"{name} refuses the user name or password; put the right ones into the url")
        case "EOFError" if _is_file(place):
            return CameraFailed(f"{name} is cut short or damaged; choose another")
        case "EOFError":
            return CameraFailed(f"{name}: the stream has ended; start its sender again")
        case "InvalidDataError":
            return CameraFailed(f"{name} holds no video that can be decoded; choose another")
        case _:
            words = (error.strerror or type(error).__name__).rstrip(".")
            return CameraFailed(f"{name}: {words}; check the camera's section in the configuration")


def _silent(name: str, waited_s: float) -> CameraFrozen:
    return CameraFrozen(f"{name} sent nothing for {waited_s:g} s; check its power and the network")


def _is_file(place: str) -> bool:
    return "://" not in place and not place.startswith("/dev/")


def shown(place: str) -> str:
    """The place without the user, the password and the query that an address may carry."""
    scheme, separator, rest = shown_url(place).partition("://")
    return f"{scheme}://{rest.partition('?')[0].removeprefix(f'{HIDDEN}@')}" if separator else place
