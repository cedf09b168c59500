"""A PyTorch module by LiteRT's converter, which makes a float .tflite of it: the modes are that file's."""

import inspect
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import litert_torch
import numpy as np
import torch
from numpy.typing import NDArray

from deploy.core.factory.conversion.words import Convert, Signature
from deploy.core.refusal import Refused
from deploy.factory.faults import one_line
from deploy.factory.parent import Arrays, Made, Samples
from deploy.factory.sources.examples import Example
from deploy.factory.sources.tflite import TfliteParent

_CHANNELS: Final = frozenset({1, 3, 4})
_CHANNELS_FIRST: Final = (
    "input {} is channels first ({}), and cameras give channels last: for a classifier return "
    "litert_torch.to_channel_last_io(module, args=[{}]) and an example in that order"
)


class TorchParent:
    """See `deploy.factory.parent.Parent`: the module answers, its .tflite file is converted."""

    def __init__(self, module: Any, names: tuple[str, ...], file: TfliteParent) -> None:
        """
        Args:
            module: ready to answer, not to train.
            names: of its inputs in their order.
            file: what LiteRT's converter made of it.
        """
        self._module = module
        self._names = names
        self._file = file

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return self._file.signatures

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        del signature  # there is one
        tensors = {name: torch.from_numpy(np.array(inputs[name])) for name in self._names}
        with torch.no_grad():
            if _by_name(self._module, self._names):
                answered = self._module(**tensors)
            else:
                answered = self._module(*tensors.values())
        flat, _ = torch.utils._pytree.tree_flatten(answered)  # noqa: SLF001 - torch offers no public way to flatten
        return {form.name: _array(each) for form, each in zip(self.signatures[0].outputs, flat, strict=True)}

    def convert(self, order: Convert, samples: Mapping[str, Samples]) -> Made:
        made = self._file.convert(order, samples)
        return Made(
            content=made.content,
            converter=f"litert-torch {litert_torch.__version__}, {made.converter}",
            remarks=made.remarks,
        )


def open_pair(module: Any, examples: tuple[Example, ...], order: Convert) -> TorchParent:
    """
    Raises:
        Refused: LiteRT's converter cannot.
    """
    del order  # the modes come later
    module.eval()
    _check(module)
    tensors = {each.name: torch.as_tensor(each.value) for each in examples}
    try:
        made = _converted(module, tensors)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
        raise Refused(f"litert-torch cannot convert {type(module).__name__}: {one_line(error)}") from error
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "module.tflite"
        made.export(str(path))
        content = path.read_bytes()
    file = TfliteParent(content, named="what litert-torch made", remarks=tuple(_remarks(examples)))
    return TorchParent(module, tuple(tensors), file)


def _converted(module: Any, tensors: Mapping[str, Any]) -> Any:
    if _by_name(module, tensors):
        return litert_torch.convert(module, sample_kwargs=dict(tensors))
    return litert_torch.convert(module, sample_args=tuple(tensors.values()))


def _by_name(module: Any, names: Iterable[str]) -> bool:
    """Inputs are given by name where they have one: a module that takes any number of them names none."""
    return set(names) <= set(inspect.signature(module.forward).parameters)


def _check(module: Any) -> None:
    for name, values in module.state_dict().items():
        if values.is_floating_point() and not torch.isfinite(values).all():
            raise Refused(
                f"the weights {name!r} hold values that are no numbers (NaN or infinity): the training "
                "diverged, take an earlier state of it"
            )


def _remarks(examples: tuple[Example, ...]) -> list[str]:
    return [
        _CHANNELS_FIRST.format(each.name, "x".join(map(str, each.array.shape)), index)
        for index, each in enumerate(examples)
        if each.array.ndim == 4 and each.array.shape[1] in _CHANNELS and each.array.shape[3] not in _CHANNELS
    ]


def _array(tensor: Any) -> NDArray[np.generic]:
    return np.asarray(tensor.detach().numpy())
