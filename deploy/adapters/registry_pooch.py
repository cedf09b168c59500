"""The models that Shoal names: fetched by pooch, which checks the SHA-256 before a file gets its name."""

import hashlib
import logging
import queue
import re
import shutil
import sysconfig
import threading
import time
import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from agent.wire.documents import Delegate, HexDigest
from agent.wire.errors import ConfigError, Malformed, StoreFailed, Unavailable
from agent.wire.topics import Digest, sha256
from deploy.ports.registry import OnBytes, RegisteredFile, RegisteredModel

CHUNK_BYTES = 65_536
T = TypeVar("T")


class _Remote(Struct, frozen=True, kw_only=True):
    file: str
    url: str
    length: Annotated[int, Meta(gt=0)]
    sha256: HexDigest
    delegate: Delegate


class _Entry(Struct, frozen=True, kw_only=True):
    title: str
    version: str
    licence: str
    variant: Annotated[tuple[_Remote, ...], Meta(min_length=1)]


class _Shipped(Struct, frozen=True, kw_only=True):
    name: str
    version: str
    file: str
    sha256: HexDigest
    length: int
    licence: str
    labels: str
    title: str = ""


def models_folder() -> Path:
    """Where the registry and the shipped models are: in a checkout, or in what a wheel installed.

    Raises:
        ConfigError: in neither.
    """
    places = (Path(__file__).parents[2] / "models", Path(sysconfig.get_path("data")) / "share/shoal/models")
    for place in places:
        if (place / "registry.toml").is_file():
            return place
    raise ConfigError(
        f"the model registry is missing ({' and '.join(map(str, places))}): install shoal again, or run it "
        "from a checkout"
    )


class PoochRegistry:
    """Reads `registry.toml` and the `model.toml` of each folder beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def models(self) -> tuple[RegisteredModel, ...]:
        """
        Raises:
            ConfigError: a file of the registry is damaged.
        """
        shipped = [_shipped(path) for path in sorted(self._folder.glob("*/model.toml"))]
        entries = _parse(self._folder / "registry.toml", dict[str, _Entry])
        return (*shipped, *(_registered(name, entry) for name, entry in entries.items()))

    def fetch(self, file: RegisteredFile, folder: Path, timeout_s: float, on_bytes: OnBytes) -> Path:
        if file.path is not None:
            return _copied(file, file.path, folder)
        if file.url is None:
            raise Unavailable(f"{file.name} is registered without an address")
        return _Download(file, file.url, folder, timeout_s, on_bytes).run()


class _Download:
    """On a thread that is left behind when time is up: a silent name server cannot be hurried."""

    def __init__(
        self, file: RegisteredFile, url: str, folder: Path, timeout_s: float, on_bytes: OnBytes
    ) -> None:
        self._file, self._url, self._folder, self._on_bytes = file, url, folder, on_bytes
        self._timeout_s = timeout_s
        self._ends = time.monotonic() + timeout_s
        self._done = 0
        self._outcome: queue.Queue[Path | Exception] = queue.Queue()
        self.total = 0
        """Set by pooch from what the server says; the registry knows better."""

    def run(self) -> Path:
        threading.Thread(target=self._work, name="fetch", daemon=True).start()
        try:
            outcome = self._outcome.get(timeout=self._timeout_s)
        except queue.Empty:
            outcome = TimeoutError(f"not here after {self._timeout_s:g} s")
        if isinstance(outcome, Path):
            return self._measured(outcome)
        raise self._translated(outcome) from outcome

    def _work(self) -> None:
        import pooch  # noqa: PLC0415 - a sixth of what every command would load, and few fetch a model

        pooch.get_logger().setLevel(logging.WARNING)
        try:
            path = pooch.retrieve(
                self._url,
                known_hash=f"sha256:{self._file.digest}",
                fname=self._file.name,
                path=self._folder,
                downloader=pooch.HTTPDownloader(
                    timeout=self._timeout_s, chunk_size=CHUNK_BYTES, progressbar=self
                ),
            )
        except (OSError, ValueError) as error:
            self._outcome.put(error)
        else:
            self._outcome.put(Path(path))

    def update(self, count: int) -> None:
        """Called by pooch for each chunk."""
        self._done += count
        if self._done > self._file.length + CHUNK_BYTES:
            raise ValueError(f"more than the {self._file.length} bytes that are registered")
        if time.monotonic() > self._ends:
            raise TimeoutError(f"{self._done} of {self._file.length} bytes after {self._timeout_s:g} s")
        self._on_bytes(min(self._done, self._file.length), self._file.length)

    def reset(self) -> None:
        """Called by pooch at the end, before it reports everything once more."""
        self._done = 0

    def close(self) -> None:
        """Called by pooch at the very end."""

    def _measured(self, path: Path) -> Path:
        length = path.stat().st_size
        if length != self._file.length:
            raise Malformed(f"{path} is {length} bytes, the registry says {self._file.length}")
        return path

    def _translated(self, error: Exception) -> Malformed | Unavailable:
        by_hand = f"fetch {self._url} by hand into {self._folder.resolve()}, sha256 {self._file.digest}"
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            return Malformed(
                f"{self._url} is not the file that is registered ({_brief(error)}): nothing was kept"
            )
        return Unavailable(f"{self._file.name} cannot be fetched now ({_brief(error)}): {by_hand}")


def _brief(error: Exception) -> str:
    """The reason alone: requests wraps it into the names of its own classes."""
    text = " ".join(str(error).split())
    system = re.search(r"\[Errno -?\d+\] ([A-Za-z ]+)", text)
    if system is not None:
        return system[1].strip()
    if "timed out" in text:
        return "it did not answer in time"
    return text.split(" for url")[0][:120] or type(error).__name__


def _copied(file: RegisteredFile, source: Path, folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / file.name
        if target.resolve() != source.resolve():
            shutil.copyfile(source, target)
        content = target.read_bytes()
    except OSError as error:
        raise StoreFailed(f"{source} cannot be copied into {folder}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != file.digest:
        raise Malformed(f"{source} is damaged: install shoal again")
    return target


def _registered(name: str, entry: _Entry) -> RegisteredModel:
    files = tuple(
        RegisteredFile(remote.file, remote.url, None, Digest(remote.sha256), remote.length, remote.delegate)
        for remote in entry.variant
    )
    return RegisteredModel(name, entry.title, entry.licence, files)


def _shipped(path: Path) -> RegisteredModel:
    card = _parse(path, _Shipped)
    labels = path.parent / card.labels
    try:
        names = labels.read_bytes()
    except OSError as error:
        raise ConfigError(f"{labels}: {error.strerror}: install shoal again") from error
    files = (
        RegisteredFile(card.file, None, path.parent / card.file, Digest(card.sha256), card.length),
        RegisteredFile(card.labels, None, labels, sha256(names), len(names)),
    )
    return RegisteredModel(card.name, card.title or f"{card.name} {card.version}", card.licence, files)


def _parse(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error
