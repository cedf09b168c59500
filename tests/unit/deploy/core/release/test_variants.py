import pytest

from agent.wire.documents import Activation, Delegate, Fit, Normalization
from deploy.core.refusal import Refused
from deploy.core.release import variants
from deploy.core.release.variants import ModelFile, Options
from tests import models

CPU = "mobilenet_v1_0.25_128_quant.tflite"
TPU = "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
OTHER = "derived_mobilenet_v1_0.25_128_int8_int8io.tflite"
UNLABELLED = "derived_mobilenet_v1_0.25_128_f32.tflite"
DETECTOR = "ssd_postprocess_head_only.tflite"
FROM_FILE = Options()


def file(name):
    return ModelFile(name, models.shared(name).read_bytes())


def examined(*names, options=FROM_FILE):
    return [variants.examine(file(name), options) for name in names]


def test_which_file_is_for_the_edge_tpu_is_read_from_the_files():
    renamed = [
        variants.examine(ModelFile(as_name, file(name).content), Options())
        for as_name, name in (("a.tflite", TPU), ("b_edgetpu.tflite", CPU))
    ]
    paired = variants.pair(renamed)
    assert [(v.file.name, v.delegate) for v in paired] == [
        ("b_edgetpu.tflite", Delegate.CPU),
        ("a.tflite", Delegate.EDGETPU),
    ]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((TPU,), "compiled for the Edge TPU: give the CPU file"),
        ((CPU, CPU), "are both for cpu"),
        ((OTHER, TPU), "differ in size, type or classes"),
    ],
)
def test_files_that_are_no_release_are_refused(names, said):
    with pytest.raises(Refused, match=said):
        variants.pair(examined(*names))


@pytest.mark.parametrize(
    ("name", "said"), [(DETECTOR, f"{DETECTOR}: not a classifier"), (None, "x: not a TFLite model")]
)
def test_a_file_that_is_no_classifier_is_refused_by_name(name, said):
    asked = ModelFile("x", b"text") if name is None else file(name)
    with pytest.raises(Refused, match=said):
        variants.examine(asked, Options())


def test_the_operator_knows_better_than_the_file():
    norm = Normalization(mean=(0.0,), std=(255.0,))
    (model,) = examined(UNLABELLED, options=Options(Fit.SQUASH, norm, Activation.LOGITS))
    assert (model.input.fit, model.input.normalization) == (Fit.SQUASH, norm)
    assert model.output.activation is Activation.LOGITS


def test_a_mean_of_the_wrong_length_is_refused():
    with pytest.raises(Refused, match="2 values of mean and std for 3 channels"):
        examined(CPU, options=Options(normalization=Normalization(mean=(0.0, 0.0), std=(1.0, 1.0))))


def test_a_quantization_in_which_the_variants_differ_is_left_to_each_file():
    one, other = examined(CPU, OTHER)
    taken, given = variants.shared([one, other])
    assert taken.quantization is None
    assert given.quantization is None
    assert variants.shared([one, one]) == (one.input, one.output)


def test_labels_inside_every_file_need_no_file_of_their_own():
    assert variants.labels_file(examined(CPU, TPU), None) is None
    assert variants.has_labels(examined(CPU), None)


def test_labels_inside_one_file_only_travel_beside_both():
    inside = variants.labels_file(examined(CPU, UNLABELLED), None)
    assert inside is not None
    assert len(inside.decode().split("\n")) == 1001


def test_a_model_without_labels_has_none():
    assert variants.labels_file(examined(UNLABELLED), None) is None
    assert not variants.has_labels(examined(UNLABELLED), None)


def test_a_label_file_travels_as_it_is():
    given = ModelFile("l.txt", "\n".join(f"l{number}" for number in range(1001)).encode())
    assert variants.labels_file(examined(UNLABELLED), given) == given.content


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"cat\ndog\n", "l.txt: 2 labels for 1001 classes"), (b"", "l.txt: the labels file is empty")],
)
def test_labels_that_are_not_as_many_as_the_classes_are_refused(content, said):
    with pytest.raises(Refused, match=said):
        variants.labels_file(examined(CPU), ModelFile("l.txt", content))
