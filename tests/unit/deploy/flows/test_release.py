import numpy as np
import pytest
import zstandard

from agent.adapters.packing_zstd import Zstandard
from agent.core.tflite import flatmodel
from agent.wire import codec
from agent.wire.documents import Delegate, GoldenSet, Manifest
from agent.wire.errors import ConfigError, ModelUnloadable
from agent.wire.topics import sha256
from deploy.adapters import desk
from deploy.adapters.packer_zstd import ZstandardPacker
from deploy.adapters.registry_pooch import models_folder
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.workspace import ArtifactFolder
from deploy.core.refusal import Refused
from deploy.core.release import golden
from deploy.core.release.variants import ModelFile, Options
from deploy.flows import release as flow
from deploy.flows.golden import GoldenFrame
from deploy.flows.release import Draft
from tests import models
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import ScriptedModel, ScriptedRuntime

CPU = "mobilenet_v1_0.25_128_quant.tflite"
TPU = "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
FLOAT = "derived_mobilenet_v1_0.25_128_f32.tflite"


def file(name):
    return ModelFile(name, models.shared(name).read_bytes())


class Desk:
    """A repository and an artifact folder, and a runtime that answers what it was told to."""

    def __init__(self, folder):
        self.repository = TufRepository.create(
            folder / "repository", folder / "offline", folder / "online", FakeClock()
        )
        self.folder = folder / "artifacts"
        self.artifacts = ArtifactFolder(self.folder)
        self.packer = ZstandardPacker()
        self.frames = tuple(GoldenFrame(p, desk.png(p)) for p in golden.patterns(128, 128)[:2])

    def release(self, runtime, names=(CPU,), reference=None, **fields):
        examined, truth = flow.examine(
            [file(name) for name in names], file(reference) if reference else None, Options()
        )
        draft = Draft(
            **{
                "name": "birds",
                "version": "1",
                "variants": examined,
                "labels": None,
                "frames": self.frames,
                "golden_source": "synthetic patterns",
                "tolerance": 0.2,
                "golden_model": truth,
            }
            | fields
        )
        return flow.release(self.repository, self.artifacts, self.packer, runtime, draft)


@pytest.fixture
def the_desk(tmp_path):
    return Desk(tmp_path)


def answering(name, best):
    content = file(name)
    examined, _ = flow.examine([content], None, Options())
    facts = examined[0].facts
    scores = np.zeros(1001)
    scores[best] = 200 if facts.outputs[0].dtype == "uint8" else 0.75
    model = ScriptedModel([scores], image=_form(facts.inputs[0]), scores=_form(facts.outputs[0]))
    return ScriptedRuntime({content.content: model}), model


def _form(tensor):
    from agent.ports.runtime import TensorInfo
    from agent.wire.documents import Dtype

    return TensorInfo(tensor.name, tensor.shape, Dtype(tensor.dtype), tensor.quantization)


def test_a_release_says_what_its_files_say_and_keeps_all_of_them(the_desk):
    runtime, model = answering(CPU, best=7)
    released = the_desk.release(runtime, (TPU, CPU), licence="Apache-2.0")
    manifest = the_desk.repository.manifest("birds", "1")
    assert manifest == released.manifest
    assert the_desk.repository.releases() == (released.ref,)
    assert [(v.file, v.delegate, v.artifact.digest) for v in manifest.variants] == [
        (CPU, Delegate.CPU, sha256(file(CPU).content)),
        (TPU, Delegate.EDGETPU, sha256(file(TPU).content)),
    ]
    assert (manifest.input.height_px, manifest.output.classes, manifest.labels) == (128, 1001, None)
    assert manifest.provenance == {"golden_frames": "synthetic patterns"}
    kept = {path.name for path in the_desk.folder.iterdir()}
    files = [*(v.artifact for v in manifest.variants), manifest.golden.artifact]
    packed = {chunk.packed.digest for each in files for chunk in each.chunks if chunk.packed}
    assert len(packed) > 10
    assert kept == {each.digest for each in files} | packed
    assert len(model.fed) == len(the_desk.frames)


def test_the_golden_set_holds_the_frames_and_what_the_cpu_variant_gave(the_desk):
    runtime, _ = answering(CPU, best=7)
    manifest = the_desk.release(runtime).manifest
    content = the_desk.artifacts.get(manifest.golden.artifact.digest)
    cases = codec.decode(content, GoldenSet).cases
    assert [case.png for case in cases] == [frame.png for frame in the_desk.frames]
    assert [case.expected[0] for case in cases] == [(7, 0.78125)] * 2
    assert manifest.golden.tolerance == 0.2


def both(of_cpu, of_float):
    """A runtime that knows the released file and its float parent."""
    (cpu, _), (parent, _) = answering(CPU, best=of_cpu), answering(FLOAT, best=of_float)
    return ScriptedRuntime({**cpu._models, **parent._models})


def test_a_release_that_disagrees_with_the_model_it_is_held_against_is_refused(the_desk):
    words = rf"{CPU} and {FLOAT} disagree on golden frame 1 of 2: class 7 is best, 9 is expected"
    with pytest.raises(Refused, match=words):
        the_desk.release(both(7, 9), reference=FLOAT)
    assert the_desk.repository.releases() == ()
    assert the_desk.release(both(9, 9), reference=FLOAT)


def test_a_release_that_disagrees_is_signed_where_that_is_accepted(the_desk):
    assert the_desk.release(both(7, 9), reference=FLOAT, accept_disagreement=True)


def test_another_model_may_say_what_is_right(the_desk):
    runtime = both(9, 9)
    manifest = the_desk.release(runtime, reference=FLOAT).manifest
    cases = codec.decode(the_desk.artifacts.get(manifest.golden.artifact.digest), GoldenSet).cases
    assert {case.expected[0] for case in cases} == {(9, 0.75)}
    assert manifest.provenance["golden_model"] == sha256(file(FLOAT).content)


def test_the_same_release_twice_is_one_and_other_content_is_refused(the_desk):
    runtime, _ = answering(CPU, best=7)
    assert the_desk.release(runtime) == the_desk.release(runtime)
    with pytest.raises(ConfigError, match="new version"):
        the_desk.release(runtime, description="changed")
    assert len(the_desk.repository.releases()) == 1


def edited(name):
    """The model with some of its weights changed, and a runtime that knows it too."""
    content = bytearray(file(name).content)
    start, length = max(flatmodel.buffers(bytes(content)), key=lambda span: span[1])
    content[start : start + 3_000] = bytes(3_000)
    assert length > 3_000
    return ModelFile(name, bytes(content))


def second(the_desk, packer=None, **fields):
    """Release 1 of a model, then 2 of the edited one with patches from it."""
    runtime, model = answering(CPU, best=7)
    new = edited(CPU)
    runtime = ScriptedRuntime({file(CPU).content: model, new.content: model})
    old = the_desk.release(runtime).manifest
    examined, _ = flow.examine([new], None, Options())
    the_desk.packer = packer or the_desk.packer
    given = {"version": "2", "variants": examined, "base": old} | fields
    return old, new, lambda: the_desk.release(runtime, **given)


def test_a_patch_from_the_release_before_makes_the_new_file(the_desk, tmp_path):
    old, new, release = second(the_desk)
    (variant,) = release().manifest.variants
    (patch,) = variant.patches
    assert (patch.base, patch.base_bytes) == (
        old.variants[0].artifact.digest,
        old.variants[0].artifact.length,
    )
    assert patch.artifact.length < 4_000
    for name, content in (("base", the_desk.artifacts.get(patch.base)), ("patch", None)):
        (tmp_path / name).write_bytes(content or the_desk.artifacts.get(patch.artifact.digest))
    assert Zstandard().apply(tmp_path / "base", tmp_path / "patch", len(new.content)) == new.content


class LongPatches(ZstandardPacker):
    def patch(self, base, content):
        del base
        return content[::-1]


def test_a_patch_that_is_not_worth_its_bytes_is_not_offered(the_desk):
    _, _, release = second(the_desk, LongPatches())
    assert release().manifest.variants[0].patches == ()


def test_without_the_files_of_the_base_there_is_a_release_and_no_patch(the_desk):
    old, _, release = second(the_desk)
    (the_desk.folder / old.variants[0].artifact.digest).unlink()
    assert release().manifest.variants[0].patches == ()


class AnotherVersion(ZstandardPacker):
    def pack(self, content):
        return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(content)


def test_the_same_release_by_another_version_of_the_packer_is_the_one_that_was_signed(the_desk):
    _, _, release = second(the_desk)
    first = release()
    the_desk.packer = AnotherVersion()
    assert release() == first
    for chunk in first.manifest.variants[0].artifact.chunks:
        if chunk.packed:
            the_desk.artifacts.get(chunk.packed.digest)


@pytest.mark.parametrize(
    "fields", [{"name": "a/b"}, {"version": ""}, {"version": "1/2"}, {"tolerance": 1.5}, {"name": "../x"}]
)
def test_what_devices_would_not_accept_is_never_signed(the_desk, fields):
    runtime, _ = answering(CPU, best=7)
    with pytest.raises(Refused):
        the_desk.release(runtime, **fields)
    assert the_desk.repository.releases() == ()


def test_a_model_that_answers_nan_is_refused(the_desk):
    content = file(FLOAT)
    _, model = answering(FLOAT, best=0)
    broken = ScriptedModel([np.full(1001, np.nan)], image=model.input, scores=model.output)
    with pytest.raises(Refused, match="NaN or infinity"):
        the_desk.release(ScriptedRuntime({content.content: broken}), (FLOAT,))
    assert the_desk.repository.releases() == ()


def test_a_model_that_the_runtime_refuses_is_not_released(the_desk):
    with pytest.raises(ModelUnloadable, match="not in the script"):
        the_desk.release(ScriptedRuntime({}))
    assert the_desk.repository.releases() == ()


def test_labels_travel_as_an_artifact(the_desk):
    runtime, _ = answering(CPU, best=7)
    given = ModelFile("labels.txt", "\n".join(f"bird {number}" for number in range(1001)).encode())
    manifest: Manifest = the_desk.release(runtime, labels=given).manifest
    assert manifest.labels is not None
    assert the_desk.artifacts.get(manifest.labels.digest) == given.content


def test_a_golden_model_of_other_classes_is_refused():
    lite0 = models_folder() / "efficientnet_lite0" / "efficientnet_lite0_224_uint8.tflite"
    with pytest.raises(Refused, match=r"has 1000 classes and mobilenet.* has 1001"):
        flow.examine([file(CPU)], ModelFile("lite0.tflite", lite0.read_bytes()), Options())
