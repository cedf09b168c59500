"""`shoal compile` with a stand-in for Coral's compiler, which no machine of ours has."""

import json
import shutil
from pathlib import Path

import pytest

from agent.core.tflite import flatmodel
from deploy.adapters.edgetpu_compiler import EdgeTpuCompiler, arguments
from deploy.assemble.factory.compiling import Request, compile_models
from deploy.cli.main import main
from deploy.core.refusal import Refused
from deploy.core.release import variants
from deploy.core.release.variants import ModelFile, Options
from deploy.ports.compiler import Job
from tests.fakes import edgetpu_compiler
from tests.models import TINY, TINY_FLOAT, TINY_INT8, shared


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    edgetpu_compiler.install(folder)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_the_options_stand_before_the_models_in_coral_s_words(tmp_path: Path) -> None:
    models = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    job = Job(models, runtime=13, segments=2, search=True, subgraphs=True, timeout_s=600)

    assert arguments(job, tmp_path) == [
        "--show_operations",
        "--out_dir",
        str(tmp_path),
        *("--timeout_sec", "600", "--min_runtime_version", "13", "--num_segments", "2"),
        *("--search_delegate", "-a"),
        *map(str, models),
    ]


@pytest.mark.usefixtures("compiler")
def test_a_compiled_model_lies_beside_its_own_ready_for_a_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copy(shared(TINY), tmp_path / "birds.tflite")

    assert main(["compile", str(model)]) == 0

    made = tmp_path / "birds_edgetpu.tflite"
    pair = [variants.examine(ModelFile(path.name, path.read_bytes()), Options()) for path in (made, model)]
    assert [each.delegate for each in variants.pair(pair)] == ["cpu", "edgetpu"]
    assert "Mapped to Edge TPU" in (tmp_path / "birds_edgetpu.log").read_text()
    told = capsys.readouterr()
    assert f"{made}: 31 of 31 operators on the Edge TPU" in told.out
    assert told.err == ""


@pytest.mark.usefixtures("compiler")
def test_what_stays_on_the_cpu_is_told_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPILER_KEEPS", "2")

    assert main(["compile", str(shared(TINY_INT8)), "-o", str(tmp_path / "out"), "--json"]) == 0

    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["report"]["total"] == 31
    assert answer["compiler"] == "16.0.384591198"
    (remark,) = answer["remarks"]
    assert "2 of 31 operators stay on the CPU: 1 RESHAPE (after the first operator" in remark


@pytest.mark.usefixtures("compiler")
def test_several_models_share_a_chip_only_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(shared(TINY)), str(shared(TINY_INT8))]

    assert main(["compile", *models, "-o", str(tmp_path), "--together", "--json"]) == 0

    answers = json.loads(capsys.readouterr().out)
    assert [answer["model"] for answer in answers] == models
    assert len(list(tmp_path.glob("*_edgetpu.tflite"))) == 2


@pytest.mark.usefixtures("compiler")
def test_two_models_of_one_name_are_not_written_over_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [tmp_path / "a" / "birds.tflite", tmp_path / "b" / "birds.tflite"]
    for model in models:
        model.parent.mkdir()
        shutil.copy(shared(TINY), model)
    named = list(map(str, models))

    assert main(["compile", *named, "-o", str(tmp_path / "out")]) == 1
    assert "two of the models are called birds" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["compile", *named]) == 0
    assert all(model.with_name("birds_edgetpu.tflite").exists() for model in models)


def test_a_compiler_that_keeps_no_limit_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "edgetpu_compiler"
    program.write_text("#!/bin/sh\nsleep 600\n")
    program.chmod(0o755)
    request = Request((shared(TINY),), tmp_path / "out", timeout_s=1)

    with pytest.raises(Refused, match="did not end within 1 s, past its own limit"):
        list(compile_models(EdgeTpuCompiler(str(program), grace_s=0), request))

    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("compiler")
def test_a_name_may_hold_what_a_pattern_would(tmp_path: Path) -> None:
    model = shutil.copy(shared(TINY), tmp_path / "my [1] birds.tflite")

    assert main(["compile", str(model), "--num-segments", "2"]) == 0

    assert len([path for path in tmp_path.iterdir() if path.name.endswith("_of_2_edgetpu.tflite")]) == 2


@pytest.mark.usefixtures("compiler")
def test_segments_are_kept_and_said_to_be_no_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", str(shared(TINY)), "-o", str(tmp_path), "--num-segments", "2"]) == 0

    assert len(list(tmp_path.glob("*_segment_?_of_2_edgetpu.tflite"))) == 2
    assert "shoal release takes whole models" in capsys.readouterr().err


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"COMPILER_PRINTS": "Internal compiler error. Aborting!"}, "the compiler failed inside"),
        ({"COMPILER_KEEPS": "31"}, "mapped no operator"),
    ],
)
def test_a_failure_is_one_sentence_and_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    said: str,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    assert main(["compile", str(shared(TINY)), "-o", str(tmp_path / "out")]) == 1

    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("compiler")
def test_a_float_model_is_refused_before_the_compiler_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPILER_PRINTS", "it was asked")

    assert main(["compile", str(shared(TINY_FLOAT))]) == 1

    assert "make it with shoal convert --quantize int8" in capsys.readouterr().err


def test_without_the_compiler_it_is_said_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["compile", str(shared(TINY)), "-o", str(tmp_path / "out")]) == 1

    assert "edgetpu_compiler is not installed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_stand_in_writes_models_that_our_reader_takes() -> None:
    model = edgetpu_compiler.schema.ModelT.InitFromPackedBuf(bytearray(shared(TINY).read_bytes()), 0)

    facts = flatmodel.examine(edgetpu_compiler.compiled(model))

    assert facts.edgetpu
    assert facts.inputs[0].shape == (1, 128, 128, 3)
