"""An ONNX file by way of onnx2tf, which makes a SavedModel with channels last of it.

onnx2tf demands one exact version of TensorFlow and of ten more packages, none of them ours: it is a program
in an environment of its own, and started as such. ONNX Runtime answers as the parent, so that a transposition
that onnx2tf gets wrong is seen.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from msgspec.structs import replace
from numpy.typing import NDArray

from deploy.core.factory.conversion import channels, shapes
from deploy.core.factory.conversion.words import Convert, Signature, TensorForm
from deploy.core.refusal import Refused
from deploy.factory.parent import Arrays, Made, Parent, Samples
from deploy.factory.sources import saved_models

_PROGRAM: Final = "onnx2tf"
_MISSING: Final = (
    "ONNX files are read by the program onnx2tf, and there is none on the PATH: pipx install onnx2tf (it "
    "demands a TensorFlow of its own, so never into this environment)"
)
_TIME_MAX_S: Final = 1800.0
_PICTURES: Final = "calibration_image_sample_data_20x128x128x3_float32.npy"
"""onnx2tf tries each model of pictures on this file, and fetches it from the network where it finds none."""
_DTYPES: Final = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
}


class OnnxParent:
    """See `deploy.factory.parent.Parent`: ONNX Runtime answers, the SavedModel is converted."""

    def __init__(self, session: Any, inner: Parent, version: str) -> None:
        """
        Args:
            session: of ONNX Runtime.
            inner: what onnx2tf made of it.
            version: of onnx2tf.
        """
        self._session = session
        self._inner = inner
        self._version = version
        self._inputs = {channels.plain(each.name): each for each in session.get_inputs()}

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return self._inner.signatures

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        """
        Raises:
            Refused: an input or output has another form than it had in the ONNX file.
        """
        fed = {}
        for name, array in inputs.items():
            known = self._inputs.get(name)
            if known is None:
                raise Refused(f"onnx2tf made an input {name!r} that the ONNX file does not have")
            fed[known.name] = channels.first(array, [_size(size) for size in known.shape], name)
        answered = self._session.run(None, fed)
        outputs = next(each.outputs for each in self.signatures if each.name == signature)
        return {
            form.name: channels.last(array, form.shape, form.name)
            for form, array in zip(outputs, answered, strict=True)
        }

    def convert(self, order: Convert, samples: Mapping[str, Samples]) -> Made:
        made = self._inner.convert(replace(order, shapes={}), samples)
        return Made(
            content=made.content,
            converter=f"onnx2tf {self._version}, {made.converter}",
            remarks=made.remarks,
        )


def open_source(place: str, order: Convert) -> OnnxParent:
    """
    Raises:
        Refused: onnx2tf is not at hand or cannot convert it, or the file cannot be read.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        raise Refused(_MISSING)
    session = _session(place)
    forms = shapes.fixed("", (_form(each) for each in session.get_inputs()), order.shapes)
    with tempfile.TemporaryDirectory() as scratch:
        _run(
            [program, "-i", place, "-o", "made", "-osd", "-n", "-ois", *map(_said, forms)],
            Path(scratch),
            place,
        )
        # Whole in memory once it is loaded, but for tables, which no ONNX file has.
        inner = saved_models.open_source(str(Path(scratch) / "made"), replace(order, shapes={}))
    return OnnxParent(session, inner, _version(program))


def _session(place: str) -> Any:
    try:
        return onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"])
    except (RuntimeError, ValueError, OSError) as error:
        raise Refused(
            f"{place} cannot be read as an ONNX model: {' '.join(str(error).split())[:240]}"
        ) from error
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this one
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise Refused(
            f"{place} cannot be read as an ONNX model: {' '.join(str(error).split())[:240]}"
        ) from error


def _form(given: Any) -> TensorForm:
    dtype = _DTYPES.get(given.type)
    if dtype is None:
        raise Refused(
            f"input {given.name!r} is {given.type}, which no .tflite file takes: export the model without it"
        )
    return TensorForm(name=given.name, shape=tuple(map(_size, given.shape)), dtype=dtype)


def _size(size: Any) -> int:
    return size if isinstance(size, int) else shapes.OPEN


def _said(form: TensorForm) -> str:
    return f"{form.name}:{','.join(map(str, form.shape))}"


def _run(command: Sequence[str], scratch: Path, place: str) -> None:
    np.save(scratch / _PICTURES, _pictures())
    try:
        done = subprocess.run(
            command,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME_MAX_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(
            f"onnx2tf did not end within {_TIME_MAX_S:g} s on {place}: give the model it was exported from"
        ) from error
    if done.returncode or not (scratch / "made" / "saved_model.pb").exists():
        said = (done.stdout + done.stderr).decode(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(said) if line.strip()), "it does not say why")
        raise Refused(f"onnx2tf cannot convert {place}: {last[:240]}")


def _pictures() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((20, 128, 128, 3), np.float32)


def _version(program: str) -> str:
    done = subprocess.run([program, "-V"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    words = done.stdout.decode(errors="replace").split()
    return words[-1] if words else "of unknown version"
