"""A JAX function or a PyTorch module, which a function of the operator's own returned as `(it, examples)`.

Neither knows the form of its inputs, so it comes with an example of each: an array or a tensor, a tuple of
them in the order of its parameters, or a mapping by their names.
"""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.conversion.words import Convert, TensorForm
from deploy.core.refusal import Refused
from deploy.factory.parent import Parent


@dataclass(frozen=True, slots=True)
class Example:
    """An input by the name of its parameter."""

    name: str
    value: Any

    @property
    def array(self) -> NDArray[np.generic]:
        return np.asarray(self.value.detach() if hasattr(self.value, "detach") else self.value)


def open_object(returned: tuple[Any, ...], order: Convert) -> Parent:
    """
    Raises:
        Refused: it is no such pair, or the callable is of neither library.
    """
    if len(returned) != 2 or not callable(returned[0]):
        raise Refused(
            f"the function returns a tuple of {len(returned)}: return (function, examples), where examples "
            "are an array, a tuple in the order of its parameters, or a mapping by their names"
        )
    if order.shapes:
        raise Refused(f"the examples say the shapes: leave out --shape {next(iter(order.shapes))}")
    called, given = returned
    torch = sys.modules.get("torch")
    kind = "torch_modules" if torch is not None and isinstance(called, torch.nn.Module) else "jax_functions"
    parent: Parent = import_module(f"deploy.factory.sources.{kind}").open_pair(
        called, _named(called, given), order
    )
    return parent


def form(example: Example) -> TensorForm:
    return TensorForm(name=example.name, shape=example.array.shape, dtype=example.array.dtype.name)


def _named(called: Any, given: Any) -> tuple[Example, ...]:
    if isinstance(given, Mapping):
        return tuple(Example(str(name), value) for name, value in given.items())
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    names = _parameters(called)
    if len(names) < len(values):
        names = [f"args_{index}" for index in range(len(values))]
    return tuple(Example(name, value) for name, value in zip(names, values, strict=False))


def _parameters(called: Any) -> list[str]:
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    try:
        parameters = inspect.signature(getattr(called, "forward", called)).parameters.values()
    except (TypeError, ValueError):
        return []
    return [each.name for each in parameters if each.kind in positional]
