"""Brings a registered model into a folder."""

from dataclasses import dataclass
from pathlib import Path

from agent.wire.documents import Delegate
from deploy.core import names
from deploy.core.refusal import Refused
from deploy.ports.registry import ModelRegistry, OnBytes, RegisteredModel


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where the files go, how long each may take, and for which delegate; None: all of them."""

    folder: Path
    timeout_s: float
    only: Delegate | None = None


def fetch_model(registry: ModelRegistry, name: str, wanted: Wanted, on_bytes: OnBytes) -> tuple[Path, ...]:
    """The files of the model, verified, in the order of the registry.

    Raises:
        Refused: no model of that name is registered.
        Unavailable: a file cannot be had now.
        Malformed: what was delivered is not the file that is registered.
    """
    model = find(registry.models(), name)
    return tuple(
        registry.fetch(file, wanted.folder, wanted.timeout_s, on_bytes)
        for file in model.files
        if wanted.only is None or file.delegate in {wanted.only, None}
    )


def find(models: tuple[RegisteredModel, ...], name: str) -> RegisteredModel:
    """
    Raises:
        Refused: no model of that name is registered; the message names the nearest.
    """
    named = {model.name: model for model in models}
    if name in named:
        return named[name]
    raise Refused(f"no model {name!r} is registered{names.nearest(name, named)}")
