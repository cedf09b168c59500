"""From a frame to the tensor that a model takes.

One resize everywhere (Pillow's bilinear filter, in 8 bits), so that desk, golden inputs and device agree.
After it a pixel has 256 possible values: every conversion behind it is a table of 256 entries a channel.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.core.camera.frames import Pixels
from agent.core.inference.contract import TensorForm
from agent.core.inference.quant import quantize, to_grid
from agent.wire.documents import Dtype, Fit, InputContract, Normalization, Quantization

Tensor = NDArray[np.generic]
Box = tuple[float, float, float, float]

_LEVELS = np.arange(256, dtype=np.float64)
UNDECLARED = Normalization(mean=(127.5,), std=(127.5,))
"""Of a real-valued input where nobody declares one: pixels become numbers in [-1, 1]."""


class Preparer:
    """Precomputed for one model; every tensor is an array of its own."""

    def __init__(self, contract: InputContract, tensor: TensorForm) -> None:
        """
        Args:
            contract: how pixels are fitted and normalized.
            tensor: the loaded model's input; its type and quantization count, not the contract's.

        Raises:
            ValueError: the contract is not that of this tensor (see `contract.compare`).
        """
        self._shape = tensor.shape
        self._contract = contract
        self._convert = _conversion(
            Dtype(tensor.dtype), tensor.quantization, contract.normalization, contract.channels
        )

    def prepare(self, pixels: Pixels) -> Tensor:
        """The model's input for height x width x 3 pixels, red first, of any size."""
        return self._convert(fit(pixels, self._contract)).reshape(self._shape)


def prepare(pixels: Pixels, contract: InputContract, tensor: TensorForm) -> Tensor:
    """As `Preparer`, for a single frame."""
    return Preparer(contract, tensor).prepare(pixels)


def fit(pixels: Pixels, contract: InputContract) -> Pixels:
    """Pixels at the model's size: height x width x channels.

    Gray is the ITU-R 601 luma. The bars of a letterbox are black.
    """
    height, width = contract.height_px, contract.width_px
    if contract.channels == 3 and pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels)
    if contract.channels == 1:
        image = image.convert("L")
    fitted = _fitted(image, (width, height), contract.fit)
    return np.asarray(fitted).reshape(height, width, contract.channels)


def _fitted(image: Image.Image, size: tuple[int, int], how: Fit) -> Image.Image:
    match how:
        case Fit.SQUASH:
            return _resized(image, size)
        case Fit.CENTRE_CROP:
            return _resized(image, size, centre(image.size, size))
        case Fit.LETTERBOX:
            return _letterboxed(image, size)


def _resized(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Averages whole pixels down to just above the size, then filters: a third of the time of the filter
    alone from 640 x 480 to 224, and what the frame loop has on the other core counts on a small machine.
    """
    return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=1.0)


def centre(frame: tuple[int, int], size: tuple[int, int]) -> Box:
    """The largest centred window of the frame with the aspect ratio of the model, in (sub)pixels.

    Args:
        frame: width and height.
        size: the model's width and height.
    """
    (width, height), (to_width, to_height) = frame, size
    scale = min(width / to_width, height / to_height)
    left, top = (width - to_width * scale) / 2, (height - to_height * scale) / 2
    # Rounding must not push a corner over the edge: Pillow refuses that.
    return max(left, 0.0), max(top, 0.0), min(width - left, width), min(height - top, height)


def _letterboxed(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    canvas = Image.new(image.mode, size)
    corner = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas.paste(_resized(image, inner), corner)
    return canvas


def _conversion(
    dtype: Dtype, quantization: Quantization | None, normalization: Normalization | None, channels: int
) -> Callable[[Pixels], Tensor]:
    raw = normalization is None or _is_raw(normalization, quantization)
    if raw and dtype is Dtype.UINT8:
        return np.ascontiguousarray
    if raw and dtype is Dtype.INT8:
        return _minus_128
    tables = _tables(dtype, quantization, normalization)
    if len(tables) == 1:
        return tables[0].take
    if len(tables) != channels:
        raise ValueError(f"normalization has {len(tables)} values a parameter for {channels} channels")
    return lambda pixels: np.stack(
        [table.take(pixels[..., channel]) for channel, table in enumerate(tables)], axis=-1
    )


def _minus_128(pixels: Pixels) -> Tensor:
    return (pixels ^ np.uint8(0x80)).view(np.int8)


def _is_raw(normalization: Normalization, quantization: Quantization | None) -> bool:
    """Whether scale and zero point undo the normalization, so that the pixel itself is the number.

    Source: google-coral/pycoral, examples/classify_image.py.
    """
    if quantization is None:
        return False
    return all(
        abs(quantization.scale * std - 1) < 1e-5 and abs(mean - quantization.zero_point) < 1e-5
        for mean, std in zip(normalization.mean, normalization.std, strict=True)
    )


def _tables(
    dtype: Dtype, quantization: Quantization | None, normalization: Normalization | None
) -> list[Tensor]:
    """For each channel (or for all at once) what each of the 256 levels becomes."""
    norm = normalization or UNDECLARED
    pairs = zip(norm.mean, norm.std, strict=True)
    if dtype in {Dtype.FLOAT32, Dtype.FLOAT16}:
        return [((_LEVELS - mean) / std).astype(dtype.value) for mean, std in pairs]
    if quantization is None:
        raise ValueError(f"a normalized {dtype} input needs a scale, and the model has none")
    if normalization is None:
        return [quantize((_LEVELS - mean) / std, quantization, dtype) for mean, std in pairs]
    return [
        to_grid((_LEVELS - mean) / (std * quantization.scale), quantization.zero_point, dtype)
        for mean, std in pairs
    ]
