import pytest

from agent.wire.topics import sha256
from deploy.core.factory.conversion import metadata
from deploy.core.factory.conversion.metadata import Provenance
from deploy.core.factory.conversion.words import Calibration
from deploy.core.refusal import Refused
from deploy.core.release import origin, variants
from deploy.core.release.variants import ModelFile, Options
from tests.fakes.tflite import Form, classifier, edgetpu

IMAGE, SCORES = Form((1, 2, 2, 3), "uint8", 1 / 128, 128), Form((1, 12), "uint8", 1 / 256)
CPU, TPU = classifier(IMAGE, SCORES), edgetpu(IMAGE, SCORES)


def came(content, source, **fields):
    said = Provenance(source_digest=sha256(source), converter="TensorFlow 2.21.0", **fields)
    return metadata.with_provenance(content, said)


def examined(*contents):
    return [variants.examine(ModelFile(f"{n}.tflite", each), Options()) for n, each in enumerate(contents)]


def test_a_manifest_tells_what_the_file_was_made_of():
    calibration = Calibration(samples=120, digest=sha256(b"samples"))
    content = came(CPU, b"keras", flags=("quantize=int8", "signature=a"), calibration=calibration)

    told = origin.told(examined(content), None, "photographs", "0.1.0", sha256(b"data"))

    assert told == {
        "golden_frames": "photographs",
        "shoal": "0.1.0",
        "evaluation_data": sha256(b"data"),
        "source": sha256(b"keras"),
        "converter": "TensorFlow 2.21.0",
        "flags": "quantize=int8 signature=a",
        "calibration": sha256(b"samples"),
        "calibration_samples": "120",
    }


def test_variants_of_different_models_are_no_release():
    with pytest.raises(Refused, match="the variants of a release are of one model"):
        origin.told(examined(came(CPU, b"one"), came(TPU, b"two")), None, "photographs", "", "")
    assert origin.told(examined(came(CPU, b"one"), came(TPU, b"one")), None, "", "", "")["source"] == sha256(
        b"one"
    )
    assert origin.told(examined(came(CPU, b"one"), TPU), None, "", "", "")["source"] == sha256(b"one")
