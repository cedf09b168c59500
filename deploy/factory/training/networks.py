"""Networks that know pictures already, down to the numbers that a new head learns from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from agent.wire.documents import Normalization
from deploy.core.factory.training import bases
from deploy.core.factory.training.bases import Network
from deploy.core.factory.training.words import Train
from deploy.core.refusal import Refused
from deploy.factory.training import rebuilding

_NO_DOWNLOAD = "URL fetch failure"
"""How Keras's `get_file` begins when it could not: it raises a bare Exception."""


@dataclass(frozen=True, slots=True)
class Base:
    network: Any
    """A Keras model: pictures in, one vector of features a picture out."""
    normalization: Normalization
    """That it was trained with."""


def open_base(order: Train) -> Base:
    """
    Raises:
        Refused: its weights cannot be had, or it is no network that a head can be put on.
    """
    if order.base == Network.EFFICIENTNET_LITE0:
        return Base(_from_tflite(order.weights, order.side_px), bases.SHIPPED_NORMALIZATION)
    if order.base in list(Network):
        network = _application(Network(order.base), order.side_px)
    elif order.base.endswith(".tflite"):
        network = _from_tflite(order.base, order.side_px)
    else:
        network = _checked(_features(_loaded(order.base), order.base), order.base, order.side_px)
    return Base(network, bases.USUAL_NORMALIZATION)


def _from_tflite(place: str, side_px: int) -> Any:
    try:
        content = Path(place).read_bytes()
    except OSError as error:
        raise Refused(f"{place}: {error.strerror}") from error
    return _features(rebuilding.network(content, Path(place).name, side_px), place)


def _application(name: Network, side_px: int) -> Any:
    make, options = {
        Network.MOBILENET: (keras.applications.MobileNet, {}),
        Network.MOBILENET_V2: (keras.applications.MobileNetV2, {}),
        Network.MOBILENET_V3_SMALL: (keras.applications.MobileNetV3Small, {"include_preprocessing": False}),
        Network.MOBILENET_V3_LARGE: (keras.applications.MobileNetV3Large, {"include_preprocessing": False}),
        Network.INCEPTION_V3: (keras.applications.InceptionV3, {}),
    }[name]
    try:
        return make(
            include_top=False, weights="imagenet", input_shape=(side_px, side_px, 3), pooling="avg", **options
        )
    except ValueError as error:
        raise Refused(f"{name} cannot be made for {side_px} x {side_px} pictures: {error}") from error
    except Exception as error:
        if not str(error).startswith(_NO_DOWNLOAD):
            raise
        raise Refused(
            f"the weights of {name} cannot be fetched from Keras's storage: connect to the network, or take "
            f"--base {Network.EFFICIENTNET_LITE0}, whose weights ship with Shoal"
        ) from error


def _loaded(place: str) -> Any:
    try:
        return keras.saving.load_model(place, compile=False)
    except (OSError, ValueError, TypeError) as error:
        said = str(error).partition("\n")[0]
        raise Refused(f"{place} is no model that Keras {keras.__version__} loads: {said}") from error


def _features(model: Any, place: str) -> Any:
    """What stands before the last fully connected layer; without one, what the network gives."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise Refused(f"{place} has several inputs or outputs: give a base that has one of each")
    head = next((layer for layer in reversed(model.layers) if isinstance(layer, keras.layers.Dense)), None)
    found = model.outputs[0] if head is None else head.input
    if len(found.shape) == 4:
        found = keras.layers.GlobalAveragePooling2D()(found)
    if len(found.shape) != 2:
        raise Refused(
            f"{place} gives {found.shape} per picture: give a base that ends in one vector of features"
        )
    return keras.Model(model.inputs, found)


def _checked(network: Any, place: str, side_px: int) -> Any:
    shape = tuple(network.inputs[0].shape)
    if len(shape) != 4 or shape[3] != 3 or not {None, side_px} >= set(shape[1:3]):
        wanted = " x ".join("any" if size is None else str(size) for size in shape[1:])
        raise Refused(
            f"{place} takes {wanted}, pictures are {side_px} x {side_px} x 3: give the size that it takes "
            "with --side"
        )
    return network
