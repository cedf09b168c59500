"""The three releases that the demo pushes: a real one, the same one repackaged, and a broken one."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from agent.core.inference import labels as label_files
from agent.core.tflite import flatmodel


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model the demo runs, and why this one."""

    name: str
    path: Path
    labels: Path | None
    why: str


def repackaged(model: bytes, labels: Path | None) -> bytes:
    """The same weights in a new file: the labels ride in a zip at its end, as TFLite metadata has them."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("labels.txt"), _text(model, labels))
    return model + packed.getvalue()


def _text(model: bytes, labels: Path | None) -> bytes:
    if labels is not None:
        return labels.read_bytes()
    return "\n".join(label_files.embedded(model, flatmodel.examine(model)) or ()).encode()


def broken(model: bytes) -> bytes:
    """The model with noise in its largest weight buffer: it loads, it runs, and it answers nonsense."""
    start, length = max(flatmodel.buffers(model), key=lambda span: span[1])
    weights = bytearray(model)
    for position in range(start, start + length):
        weights[position] ^= 0x5A
    return bytes(weights)
