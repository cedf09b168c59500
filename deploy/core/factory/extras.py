"""Which of our extras brings a package that a source or an order needs."""

from collections.abc import Mapping
from typing import Final

_EXTRAS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "jax", "h5py", "matplotlib"),
        "convert",
    ),
    **dict.fromkeys(("torch", "litert_torch"), "convert-torch"),
    "onnxruntime": "convert-onnx",
}


def missing(module: str) -> str | None:
    """How to install what was not found; None where no extra brings it.

    Args:
        module: its dotted name, as the import had it.
    """
    package = module.partition(".")[0]
    extra = _EXTRAS.get(package)
    return None if extra is None else f"{package} is not installed: pip install 'shoal[{extra}]'"
