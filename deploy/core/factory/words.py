"""What the operator's command and the factory's processes say to each other.

An order is one piece of work with TensorFlow, done in a process of its own: converters die by signal on
models that they do not understand, and nobody who only signs a release should wait for TensorFlow to load.
"""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from agent.wire.documents import Fit, HexDigest, Normalization
from deploy.core.factory.evaluation.seen import Compare, Compared, Draw, Drawn, Evaluate, Evaluated

SAMPLES_ADVISED: Final = (100, 500)
"""Of representative data: fewer leave ranges unseen, more only cost time (TensorFlow Lite's guide of
post-training quantization)."""


class Quantize(StrEnum):
    """The modes of TensorFlow Lite's converter, one name each."""

    NONE = "none"
    DYNAMIC = "dynamic"
    """8-bit weights; activations are quantized while it runs."""
    FLOAT16 = "float16"
    """16-bit weights; it computes in 32."""
    INT8_FLOAT_IO = "int8-float-io"
    """Integer inside where an operator has an integer form, float at both ends."""
    INT8 = "int8"
    """Full integer, int8 at both ends; refused where an operator has no integer form."""
    UINT8 = "uint8"
    """As `int8`, with uint8 at both ends."""
    INT16X8 = "int16x8"
    """16-bit activations, 8-bit weights."""

    @property
    def calibrated(self) -> bool:
        """Whether representative data sets the ranges of activations."""
        return self not in {Quantize.NONE, Quantize.DYNAMIC, Quantize.FLOAT16}


class SourceKind(StrEnum):
    SAVED_MODEL = "saved-model"
    KERAS = "keras"
    FUNCTION = "function"
    """`module:function` of the operator's own Python; what it returns says what it is."""
    ONNX = "onnx"
    TFLITE = "tflite"


class Source(Struct, frozen=True, kw_only=True):
    """A trained model."""

    kind: SourceKind
    place: str
    """An absolute path; for a function `module:function`."""


class Look(Struct, frozen=True, kw_only=True):
    """How a picture becomes the model's input: as on the device (`agent.core.inference.tensors`)."""

    fit: Fit = Fit.CENTRE_CROP
    normalization: Normalization | None = None
    """None: (byte - 127.5) / 127.5 for float inputs."""


class Representative(Struct, frozen=True, kw_only=True):
    """Data like that which the model will see."""

    place: str
    """An absolute path of a folder of pictures or an .npz file; or `module:function`, which gives samples."""
    signature: str = ""
    """Whose inputs it feeds; empty: of the only one, or of all."""


class TensorForm(Struct, frozen=True, kw_only=True):
    name: str
    """Within its signature."""
    shape: tuple[int, ...]
    """-1: left open."""
    dtype: str


class Signature(Struct, frozen=True, kw_only=True):
    name: str
    inputs: tuple[TensorForm, ...]
    outputs: tuple[TensorForm, ...]


class Calibration(Struct, frozen=True, kw_only=True):
    """Which samples set the ranges."""

    samples: int
    digest: HexDigest
    """Over every array in its order: name, shape, dtype, bytes."""


class Agreement(Struct, frozen=True, kw_only=True):
    """A converted model beside its float parent over the same samples; of all outputs the worst."""

    samples: int
    difference_max: float
    """Largest distance of an output's element, over the range of the parent's output."""
    difference_mean: float
    """Of each sample the largest distance, on average."""
    same_first_share: Annotated[float, Meta(ge=0.0, le=1.0)] | None
    """Of samples on which both name the same class; None where the model is no classifier."""


class Convert(Struct, frozen=True, kw_only=True, tag="convert"):
    source: Source
    quantize: Quantize
    out: str
    """Where the child writes it: a scratch file, moved by whoever asked."""
    representative: tuple[Representative, ...] = ()
    look: Look = Look()
    signatures: tuple[str, ...] = ()
    """Only these; none: all that the source has."""
    shapes: dict[str, tuple[int, ...]] = {}
    """Of inputs whose source leaves their shape open, by name."""
    float_fallback: bool = False
    """Operators without an integer form stay in float (`int8`, `uint8`, `int16x8`)."""
    edgetpu: bool = False
    """Dense layers get one scale for their whole matrix: the Edge TPU's compiler is older than one a channel,
    which TensorFlow gives them since 2.17 (tensorflow/tensorflow issue 73946)."""
    select_tf: tuple[str, ...] = ()
    """TensorFlow's own operators that may be left in, by name: no device of Shoal runs them."""
    custom: tuple[str, ...] = ()
    """Custom operators that may be left in, by name."""
    accept_difference: Annotated[float, Meta(ge=0.0)] | None = None
    """How far `Agreement.difference_mean` may go; None: as far as the mode explains."""


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


class Converted(Struct, frozen=True, kw_only=True, tag="converted"):
    converter: str
    """Name and version."""
    source_digest: HexDigest
    signatures: tuple[Signature, ...]
    calibration: Calibration | None
    agreement: Agreement | None
    """None: nothing here runs the custom operators that were left in."""
    compared_on: str
    """Name and version of the runtime that computed it for the comparison; empty: none could."""
    remarks: tuple[str, ...] = ()


class Progress(Struct, frozen=True, kw_only=True, tag="progress"):
    what: str
    done: int = 0
    total: int = 0
    """0: unknown."""


class Refusal(Struct, frozen=True, kw_only=True, tag="refusal"):
    """The order cannot be carried out as given; nothing was written."""

    detail: str
    """One sentence: what, with which value, against which limit, what to do."""


class Describe(Struct, frozen=True, kw_only=True, tag="describe"):
    """A source is converted in several modes only to see what comes of it; nothing of it is released."""

    source: Source
    folder: str
    """An empty one, for what is made; the caller removes it."""
    modes: tuple[Quantize, ...]
    representative: tuple[Representative, ...] = ()
    """None: ranges are set by noise, which gives the right size and operators, and wrong answers."""
    look: Look = Look()
    shapes: dict[str, tuple[int, ...]] = {}
    edgetpu: bool = False
    """As in `Convert`."""


class Timed(Struct, frozen=True, kw_only=True):
    """One inference on one thread of the machine that the factory runs on."""

    runtime: str
    """Name and version; empty: none runs the model."""
    least_ms: float
    """Of the calls the fastest: the others were held up by whatever else ran."""
    calls: int
    fault: str = ""


class Tried(Struct, frozen=True, kw_only=True):
    mode: Quantize
    file: str = ""
    """Absolute path of what was made; empty: the mode is refused."""
    refusal: str = ""
    timed: Timed | None = None


class Described(Struct, frozen=True, kw_only=True, tag="described"):
    signatures: tuple[Signature, ...]
    samples: int
    """Of the representative data that was given; 0: noise."""
    quantized: bool = False
    """The source is a .tflite file that is quantized already, and was only looked at."""
    tried: tuple[Tried, ...]
    foreign: str = ""
    """Absolute path of the float model with the operators outside the built-in set left in; empty: there are
    none, or it could not be made even so."""
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


Order = Convert | Evaluate | Compare | Draw | Train | Optimize | Describe
Answer = Converted | Evaluated | Compared | Drawn | Trained | Optimized | Described
Said = Progress | Refusal | Converted | Evaluated | Compared | Drawn | Trained | Optimized | Described
"""Any number of `Progress`, then one `Refusal` or the answer that belongs to the order."""
