"""Models that anybody may have: what is known of each, and how to get it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.wire.documents import Delegate
from agent.wire.topics import Digest

OnBytes = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes that there are."""


@dataclass(frozen=True, slots=True)
class RegisteredFile:
    """One file of a model. `url` None: it came with the program and stands at `path`."""

    name: str
    url: str | None
    path: Path | None
    digest: Digest
    length: int
    delegate: Delegate | None = None
    """For whom it was built; None: for all, such as labels."""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    name: str
    description: str
    licence: str
    files: tuple[RegisteredFile, ...]

    @property
    def shipped(self) -> bool:
        return all(file.path is not None for file in self.files)


class ModelRegistry(Protocol):
    def models(self) -> tuple[RegisteredModel, ...]: ...

    def fetch(self, file: RegisteredFile, folder: Path, timeout_s: float, on_bytes: OnBytes) -> Path:
        """Bring the file into the folder under its own name; nothing is left there if it is not right.

        Raises:
            Unavailable: it cannot be had now; the message names the address and the digest.
            Malformed: what was delivered is not the file.
        """
        ...
