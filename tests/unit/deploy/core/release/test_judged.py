import msgspec
import pytest

from agent.wire.documents import Delegate
from agent.wire.topics import sha256
from deploy.core.factory.evaluation import document
from deploy.core.factory.evaluation.document import Beside, Latency
from deploy.core.refusal import Refused
from deploy.core.release import judged, scored, variants
from deploy.core.release.variants import ModelFile, Options
from tests.fakes.evaluations import RATE, evaluated, report
from tests.fakes.tflite import Form, classifier, edgetpu

IMAGE, SCORES = Form((1, 2, 2, 3), "uint8", 1 / 128, 128), Form((1, 12), "uint8", 1 / 256)
FILES = {"x.tflite": classifier(IMAGE, SCORES), "x_edgetpu.tflite": edgetpu(IMAGE, SCORES)}
EXAMINED = tuple(variants.examine(ModelFile(name, content), Options()) for name, content in FILES.items())


def test_a_release_has_the_figures_of_its_own_files():
    beside = Beside(
        reference=sha256(b"float"), same_first=RATE, score_distance_mean=0.1, score_distance_max=0.2
    )
    found = judged.of_release(
        "e.json",
        report(evaluated(b"another"), *(evaluated(content, beside=beside) for content in FILES.values())),
        EXAMINED,
    )

    assert found.data == sha256(b"data")
    figures = found.figures
    assert (figures["top1"], figures["top1_low"], figures["pictures"], figures["agreement"]) == (
        0.9,
        0.6,
        10,
        0.9,
    )
    assert figures["calibration_error"] == 0.012346
    assert figures["edgetpu_top1"] == 0.9
    assert {variant.delegate for variant in EXAMINED} == {Delegate.CPU, Delegate.EDGETPU}


def test_nothing_that_depends_on_a_machines_speed_goes_into_a_release():
    fast, slow = (
        msgspec.structs.replace(
            evaluated(FILES["x.tflite"]),
            latency=Latency(invoke_p50_ms=ms, invoke_p95_ms=ms, whole_p50_ms=ms, whole_p95_ms=ms),
        )
        for ms in (1.0, 9.0)
    )
    first, second = (judged.of_release("e.json", report(each), EXAMINED) for each in (fast, slow))
    assert first == second
    assert not [name for name in first.figures if name.endswith("_ms")]


def test_an_evaluation_of_another_file_is_refused_with_both_digests():
    with pytest.raises(Refused, match=r"is an evaluation of old\.tflite") as refused:
        judged.of_release("e.json", report(evaluated(b"old", "old.tflite")), EXAMINED)
    assert sha256(b"old")[:12] in str(refused.value)
    assert sha256(FILES["x.tflite"])[:12] in str(refused.value)


def test_what_shoal_evaluate_writes_is_read():
    written = msgspec.json.encode(report(evaluated(FILES["x.tflite"])))
    assert judged.read("e.json", written).models[0].evaluation.accuracy.top1 == RATE


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"schema":2,"models":[],"reference":null,"pairs":[]}']
)
def test_what_is_no_evaluation_is_refused(content):
    with pytest.raises(Refused, match=r"e\.json is (no|an) evaluation"):
        judged.read("e.json", content)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({}, ""),
        ({"pictures": 10.0}, ""),
        (
            document.figures(evaluated(b"").evaluation),
            "top-1 90.0 % (60.0 to 98.0), top-5 90.0 % (60.0 to 98.0), on 10 pictures",
        ),
        ({"agreement": 0.5}, "agrees with its reference on 50.0 %"),
    ],
)
def test_figures_are_one_line_for_whoever_decides(figures, words):
    assert scored.in_words(figures) == words
