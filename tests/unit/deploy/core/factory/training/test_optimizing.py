import pytest

from deploy.core.factory.conversion.words import Quantize
from deploy.core.factory.training import optimizing
from deploy.core.factory.training.words import Technique
from deploy.core.refusal import Refused

PRUNE, CLUSTER, QAT = Technique.PRUNE, Technique.CLUSTER, Technique.QAT
FILE = "m.tflite"


@pytest.mark.parametrize(
    ("techniques", "out", "convert", "quantize", "mode"),
    [
        ([PRUNE], "m.keras", None, None, Quantize.NONE),
        ([CLUSTER, PRUNE], "m.h5", FILE, Quantize.DYNAMIC, Quantize.DYNAMIC),
        ([QAT], "m.h5", FILE, None, Quantize.INT8),
        ([PRUNE, CLUSTER, QAT], "m.h5", FILE, Quantize.UINT8, Quantize.UINT8),
    ],
)
def test_a_mode_is_chosen_where_none_is_given(techniques, out, convert, quantize, mode):
    assert optimizing.check(techniques, out, convert, quantize) is mode


@pytest.mark.parametrize(
    ("techniques", "out", "convert", "quantize", "said"),
    [
        ([], "m.keras", None, None, "--technique takes each of prune, cluster, qat at most once"),
        ([PRUNE, PRUNE], "m.keras", None, None, "at most once"),
        ([PRUNE], "m.tflite", None, None, "m.tflite: a Keras model ends in .keras or .h5"),
        ([QAT], "m.keras", None, None, "keeps a quantization-aware model only as .h5"),
        ([PRUNE], "m.keras", None, Quantize.INT8, "give --convert FILE.tflite with it"),
        ([QAT], "m.h5", FILE, Quantize.FLOAT16, "choose int8, uint8, int8-float-io"),
        ([QAT], "m.h5", FILE, Quantize.DYNAMIC, "leaves the ranges unused that qat learns"),
        ([QAT], "m.h5", FILE, Quantize.INT16X8, "leaves the ranges unused that qat learns"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_loaded(
    techniques, out, convert, quantize, said
):
    with pytest.raises(Refused) as refused:
        optimizing.check(techniques, out, convert, quantize)
    assert said in str(refused.value)
