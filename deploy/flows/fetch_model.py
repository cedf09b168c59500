"""Brings a registered model into a folder."""

from pathlib import Path

from deploy.core import names
from deploy.core.refusal import Refused
from deploy.ports.registry import ModelRegistry, OnBytes, RegisteredModel


def fetch_model(
    registry: ModelRegistry, name: str, folder: Path, timeout_s: float, on_bytes: OnBytes
) -> tuple[Path, ...]:
    """The files of the model, verified, in the order of the registry.

    Raises:
        Refused: no model of that name is registered.
        Unavailable: a file cannot be had now.
        Malformed: what was delivered is not the file that is registered.
    """
    model = find(registry.models(), name)
    return tuple(registry.fetch(file, folder, timeout_s, on_bytes) for file in model.files)


def find(models: tuple[RegisteredModel, ...], name: str) -> RegisteredModel:
    """
    Raises:
        Refused: no model of that name is registered; the message names the nearest.
    """
    named = {model.name: model for model in models}
    if name in named:
        return named[name]
    raise Refused(f"no model {name!r} is registered{names.nearest(name, named)}")
