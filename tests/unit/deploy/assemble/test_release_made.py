"""Releases of real files, from paths on the command line to signed bytes."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from agent.core.serving import delegate
from agent.core.tflite import flatmodel
from agent.wire import codec
from agent.wire.documents import Delegate, GoldenSet
from agent.wire.topics import sha256
from deploy.assemble.desk import release as assembled
from deploy.assemble.desk import workspaces
from deploy.assemble.desk.release import Request
from deploy.core.factory.conversion import metadata
from deploy.core.factory.conversion.metadata import Provenance
from deploy.core.refusal import Refused
from deploy.core.release.variants import Options
from tests import models
from tests.fakes.evaluations import evaluated, report
from tests.fakes.tflite import Form, classifier, dense

REPOSITORY = Path(__file__).parents[4]
TINY, TINY_TPU = models.TINY, "mobilenet_v1_0.25_128_quant_edgetpu.tflite"


@pytest.fixture
def workspace(tmp_path):
    return workspaces.create(tmp_path / "fleet", fleet="home", url="mqtt://127.0.0.1:1", root="shoal/home")


def made(workspace, *files, **fields):
    request = Request(
        models=files,
        **{
            "name": "birds",
            "version": "1",
            "options": Options(),
            "labels": None,
            "golden": (),
            "golden_model": None,
            "tolerance": 0.2,
            "licence": "",
            "description": "",
        }
        | fields,
    )
    return assembled.make(workspace, None, request)


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def colourful(folder, count=12):
    """Pictures of which each third has another colour as its strongest."""
    for number in range(count):
        pixels = np.full((2, 2, 3), 40, np.uint8)
        pixels[0, 0, number % 3] = 200 + number
        path = folder / f"colour {number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def expected(workspace, result):
    digest = result.released.manifest.golden.artifact.digest
    cases = codec.decode((workspace.artifacts / digest).read_bytes(), GoldenSet).cases
    return [case.expected[0][0] for case in cases]


FLOAT = classifier(Form((1, 2, 2, 3), "float32"), Form((1, 12), "float32"))


def test_the_same_inputs_make_the_same_manifest_in_another_workspace_on_another_day(tmp_path):
    origin = Provenance(source_digest=sha256(b"source"), converter="TensorFlow 2.21.0", flags=("int8",))
    content = metadata.with_provenance(FLOAT, origin)
    refs = []
    for place in ("one", "two"):
        folder = tmp_path / place
        workspace = workspaces.create(folder / "fleet", fleet="home", url="mqtt://h:1", root="r")
        pictures = colourful(folder / "pictures")
        if place == "two":
            for path in sorted(pictures.glob("*/*")):
                path.rename(path.with_name(f"again {99 - int(path.stem)}.png"))
        result = made(
            workspace,
            written(folder / "x.tflite", content),
            golden=(pictures,),
            evaluation=written(folder / "e.json", msgspec.json.encode(report(evaluated(content)))),
        )
        refs.append(result.released.ref.manifest)
        assert result.released.manifest.provenance["source"] == sha256(b"source")
        assert result.released.manifest.evaluation["top1"] == 0.9

    assert refs[0] == refs[1]


def test_golden_frames_are_of_every_class_that_the_pictures_show(workspace, tmp_path):
    result = made(
        workspace, written(tmp_path / "x.tflite", FLOAT), golden=(colourful(tmp_path / "pictures", 30),)
    )

    classes = expected(workspace, result)
    assert result.golden_frames == len(classes) == 8
    assert set(classes) == {0, 1, 2}


def test_golden_frames_may_come_from_the_representative_arrays(workspace, tmp_path):
    pixels = np.zeros((20, 2, 2, 3), np.uint8)
    pixels[np.arange(20), 0, 0, np.arange(20) % 3] = 255
    np.savez(tmp_path / "x.npz", x=pixels, y=np.arange(20))

    result = made(workspace, written(tmp_path / "x.tflite", FLOAT), golden=(tmp_path / "x.npz",))

    assert set(expected(workspace, result)) == {0, 1, 2}


def test_a_file_that_disagrees_with_its_float_parent_is_not_released(workspace, tmp_path):
    quantized = models.shared(models.TINY_INT8).read_bytes()
    bad = written(tmp_path / "bad.tflite", models.with_flipped_weights(quantized))
    parent, pictures = models.shared(models.TINY_FLOAT), (models.pictures(),)

    with pytest.raises(Refused, match=r"bad\.tflite and .*f32\.tflite disagree on golden frame"):
        made(workspace, bad, golden=pictures, golden_model=parent)
    good = written(tmp_path / "good.tflite", quantized)
    assert made(workspace, good, golden=pictures, golden_model=parent).released.manifest.version == "1"


def test_a_release_says_which_runtime_it_needs_and_an_older_device_would_hold_it(workspace, tmp_path):
    result = made(workspace, written(tmp_path / "x.tflite", dense(12)))

    (variant,) = result.released.manifest.variants
    assert (variant.minimum_runtime, variant.runtime_reason) == ("2.17.0", "FULLY_CONNECTED version 12")
    assert any("devices with less hold it" in remark for remark in result.remarks)
    held = delegate.choose([variant], edgetpu_present=False, runtime_version="tflite-runtime 2.14.0")
    assert isinstance(held, delegate.Refused)
    plain = made(workspace, written(tmp_path / "y.tflite", FLOAT), version="2").released.manifest
    assert plain.variants[0].minimum_runtime is None


def test_of_a_compiled_twin_is_said_what_no_desk_can_prove(workspace):
    result = made(workspace, models.shared(TINY), models.shared(TINY_TPU))

    assert [each.delegate for each in result.released.manifest.variants] == [Delegate.CPU, Delegate.EDGETPU]
    assert any(f"{TINY_TPU} runs on an Edge TPU alone" in remark for remark in result.remarks)


def test_the_shipped_model_is_released_as_it_is(workspace):
    model = REPOSITORY / "models" / "efficientnet_lite0" / "efficientnet_lite0_224_uint8.tflite"
    facts = flatmodel.examine(model.read_bytes())
    manifest = made(workspace, Path(shutil.copy(model, workspace.folder / "lite0.tflite"))).released.manifest
    assert manifest.output.classes == facts.outputs[0].shape[-1]
    assert manifest.variants[0].minimum_runtime is None
