"""A folder of pictures as samples: each becomes what the device's own code would make of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np

from agent.core.inference.contract import SIDE_MAX_PX
from agent.core.inference.tensors import Preparer
from agent.ports.runtime import TensorInfo
from agent.wire.documents import Dtype, InputContract
from deploy.adapters import desk
from deploy.core.factory.conversion import calibration
from deploy.core.factory.conversion.words import Signature, TensorForm
from deploy.core.factory.words import Look
from deploy.core.refusal import Refused
from deploy.factory.parent import Arrays
from deploy.factory.samples.arrays import Note

_NAMED: Final = 3
"""Of the broken pictures; the rest is counted."""


def of_folder(folder: Path, signature: Signature, look: Look, note: Note) -> Iterator[Arrays]:
    """The pictures in the folder and, by custom one a label, in the folders in it.

    Args:
        folder: is there.
        signature: has one input of pictures.
        look: as on the device.
        note: is told of pictures that are broken, double, or left out for their number.

    Raises:
        Refused: the signature takes no pictures, or there is none that can be decoded.
    """
    form = _input(signature, folder)
    preparer, channels_first = _preparer(form, look)
    chosen = calibration.choose(desk.pictures([folder]))
    for remark in chosen.remarks(str(folder)):
        note(remark)
    broken: list[Refused] = []
    for candidate in chosen.candidates:
        try:
            picture = desk.picture(Path(candidate.place))
        except Refused as refused:
            broken.append(refused)
            continue
        tensor = preparer.prepare(np.asarray(picture))
        yield {form.name: np.ascontiguousarray(np.moveaxis(tensor, 3, 1)) if channels_first else tensor}
    if len(broken) == len(chosen.candidates):
        raise Refused(f"none of the {len(broken)} pictures can be used: {broken[0]}")
    if broken:
        more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        note(f"left out: {'; '.join(map(str, broken[:_NAMED]))}{more}")


def _input(signature: Signature, folder: Path) -> TensorForm:
    named = signature.name or "the model"
    if len(signature.inputs) != 1:
        raise Refused(
            f"{folder} has pictures, and {named} takes {len(signature.inputs)} inputs "
            f"({', '.join(form.name for form in signature.inputs)}): give an .npz file with an array for each"
        )
    return signature.inputs[0]


def _preparer(form: TensorForm, look: Look) -> tuple[Preparer, bool]:
    """What makes the tensors, and whether they are to be turned to channels first."""
    shape = (1, *form.shape[1:]) if form.shape[:1] == (-1,) else form.shape
    first = len(shape) == 4 and shape[1] in {1, 3} and shape[3] not in {1, 3}
    height, width, channels = _sides(form, (shape[0], shape[2], shape[3], shape[1]) if first else shape)
    means = 1 if look.normalization is None else len(look.normalization.mean)
    if means not in {1, channels}:
        raise Refused(f"{means} values of --mean and --std for {channels} channels: give one, or {channels}")
    contract = InputContract(
        height_px=height,
        width_px=width,
        channels=channels,
        dtype=Dtype(form.dtype),
        fit=look.fit,
        normalization=look.normalization if form.dtype in {Dtype.FLOAT32, Dtype.FLOAT16} else None,
    )
    made = (1, height, width, channels) if first else shape
    return Preparer(contract, TensorInfo(form.name, made, Dtype(form.dtype), None)), first


def _sides(form: TensorForm, shape: tuple[int, ...]) -> tuple[int, int, Literal[1, 3]]:
    said = (
        f"{form.name} is {' x '.join('any' if size < 0 else str(size) for size in form.shape)} {form.dtype}"
    )
    if len(shape) == 3:
        shape = (*shape, 1)
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in {1, 3} or form.dtype not in _TAKES:
        raise Refused(f"{said}, and pictures are 1 x height x width x 1 or 3: give an .npz file of arrays")
    if not all(0 < side <= SIDE_MAX_PX for side in shape[1:3]):
        raise Refused(f"{said}: say with --shape which size it is to have")
    return shape[1], shape[2], 3 if shape[3] == 3 else 1


_TAKES: Final = frozenset({Dtype.FLOAT32, Dtype.FLOAT16, Dtype.UINT8, Dtype.INT8})
"""Of int16 nobody knows the scale before it is quantized."""
