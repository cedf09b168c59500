"""What training and optimizing are told, and what comes of them."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from agent.wire.documents import Normalization
from deploy.core.factory.words import Look, Source


class Train(Struct, frozen=True, kw_only=True, tag="train"):
    """A folder of labelled pictures becomes a classifier on a network that knows pictures already."""

    base: str
    """A `bases.Network`, or an absolute path of a Keras model or of a float .tflite."""
    weights: str = ""
    """Absolute path of the float .tflite of the shipped classifier; empty where the base needs none."""
    images: str
    out: str
    """Where the child writes the Keras model: a scratch file, whose name ends in .keras."""
    confusion: str = ""
    """Where it draws what was taken for what, as PNG; empty: nowhere."""
    calibration: str = ""
    """An empty folder for pictures of the training part, at the model's size; empty: none are wanted."""
    calibration_pictures: Annotated[int, Meta(ge=1)] = 300
    side_px: Annotated[int, Meta(ge=32, le=1024)] = 224
    look: Look = Look()
    """Without a normalization: the one that the base was trained with."""
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    epochs: Annotated[int, Meta(ge=1)] = 60
    """At most; it stops when the validation pictures are no longer seen better."""
    patience: Annotated[int, Meta(ge=1)] = 6
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.2
    views: Annotated[int, Meta(ge=0, le=100)] = 3
    """Altered copies of each training picture: cut, coloured, mirrored."""
    mirror: bool = True
    """False where left and right differ, as in letters and digits."""
    fine_tune_layers: Annotated[int, Meta(ge=0)] = 0
    """The last so many layers of the base with weights learn too, once the head has."""
    fine_tune_epochs: Annotated[int, Meta(ge=1)] = 5


class Trained(Struct, frozen=True, kw_only=True, tag="trained"):
    labels: tuple[str, ...]
    normalization: Normalization
    """With which the model must be fed."""
    training: int
    validation: int
    test: int
    """Pictures in each part."""
    epochs: int
    """Of the head; after the best one, those that waited for a better are counted too."""
    right: int
    """Of the test pictures, which took no part in training."""
    confusion: tuple[tuple[int, ...], ...]
    """Of the test pictures, by true label (row) and answer (column)."""
    remarks: tuple[str, ...] = ()


class Technique(StrEnum):
    """What the Model Optimization Toolkit does to a trained network; several go in this order, and each keeps
    what those before it won.
    """

    PRUNE = "prune"
    """The weakest weights become zero."""
    CLUSTER = "cluster"
    """The weights of a layer share a few values."""
    QAT = "qat"
    """It learns to live with the rounding of 8 bits (quantization-aware training)."""


class Optimize(Struct, frozen=True, kw_only=True, tag="optimize"):
    """A trained Keras classifier is trained on, so that it packs or quantizes better."""

    source: Source
    data: str
    """An absolute path of a folder of one folder a label, or of an .npz file with x and y; or
    `module:function`.
    """
    techniques: tuple[Technique, ...]
    out: str
    """Where the child writes the Keras model, a scratch file that ends in .keras or .h5."""
    before: str
    """Where it writes the source as a .tflite in float, to be measured."""
    after: str
    """Same of the result, by what quantization-aware training gave where that was asked for."""
    samples: str
    """Where it writes inputs of the training part as .npz, for calibration."""
    look: Look = Look()
    epochs: Annotated[int, Meta(ge=1, le=1000)] = 3
    """Of each technique."""
    batch: Annotated[int, Meta(ge=1, le=4096)] = 64
    learning_rate: Annotated[float, Meta(gt=0.0, le=1.0)] = 1e-4
    sparsity: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.5
    """Share of the weights of each layer that pruning makes zero."""
    clusters: Annotated[int, Meta(ge=2, le=256)] = 16
    """Values that a layer's weights share."""
    held_out: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.2
    """Share of the data that judges and takes no part in training."""
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class LayerWeights(Struct, frozen=True, kw_only=True):
    """The kernels of a layer; biases and the like stay as they are."""

    name: str
    weights: int
    zeros: int
    values: int
    """Different ones, in the largest kernel."""


class Optimized(Struct, frozen=True, kw_only=True, tag="optimized"):
    toolkit: str
    """Name and version."""
    training: int
    """Samples that it learnt from."""
    held_out: int
    """Samples that judged."""
    right_before: int
    right_after: int
    only_before: int
    """Samples that only the source got right."""
    only_after: int
    layers: tuple[LayerWeights, ...]
    remarks: tuple[str, ...] = ()
