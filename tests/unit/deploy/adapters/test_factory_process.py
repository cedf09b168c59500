"""What a process of the factory says and how it ends; none of these orders gets as far as TensorFlow."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from deploy.adapters.factory_process import FactoryProcess
from deploy.core.factory.conversion.words import Convert, Quantize
from deploy.core.factory.died import FactoryDied
from deploy.core.factory.words import Progress, Source, SourceKind
from deploy.core.refusal import Refused

ROOT = Path(__file__).parents[4]
THEIRS = """
import errno, os, signal, sys, tempfile

def dies():
    tempfile.mkdtemp()
    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)

def sleeps():
    tempfile.mkdtemp()
    print(os.getpid(), file=open("started.part", "w"), flush=True)
    os.rename("started.part", "started")
    signal.pause()

class Filling:
    def __call__(self):
        pass

    @property
    def forward(self):
        raise OSError(errno.ENOSPC, "No space left on device")

def fills():
    return Filling(), [1]

def leaves():
    os._exit(3)

def chatters():
    print("on standard output")
    raise LookupError("no weights\\nat hand")
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "theirs.py").write_text(THEIRS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def order(function: str, folder: Path) -> Convert:
    return Convert(
        source=Source(kind=SourceKind.FUNCTION, place=f"theirs:{function}"),
        quantize=Quantize.NONE,
        out=str(folder / "out.tflite"),
    )


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("dies", "died of SIGSEGV; its last words: last words"),
        ("leaves", "ended with status 3 and no answer"),
    ],
)
def test_a_process_that_ends_without_an_answer_is_told_by_its_end(
    theirs: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    words: str,
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    with pytest.raises(FactoryDied, match=words):
        FactoryProcess().carry_out(order(function, theirs), lambda _: None)

    assert not (theirs / "out.tflite").exists()
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_told_as_one(theirs: Path) -> None:
    with pytest.raises(Refused, match="no space is left where temporary files go"):
        FactoryProcess().carry_out(order("fills", theirs), lambda _: None)


def test_what_the_operators_own_code_raises_is_one_sentence_with_its_line(
    theirs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[Progress] = []

    with pytest.raises(Refused) as refused:
        FactoryProcess().carry_out(order("chatters", theirs), heard.append)

    assert (
        str(refused.value) == "theirs:chatters fails in theirs.py, line 31: LookupError: no weights at hand"
    )
    assert heard == [Progress(what="opening the source")]
    assert capfd.readouterr() == ("", "")


def test_sigterm_takes_the_process_with_it_and_what_it_wrote(theirs: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    words = [sys.executable, "-P", "-m", "deploy", "convert", "theirs:sleeps", "-o", "out.tflite"]
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}

    with subprocess.Popen(words, cwd=theirs, env=environment, stderr=subprocess.DEVNULL) as shoal:
        deadline = time.monotonic() + 120.0
        while not (theirs / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        child = int((theirs / "started").read_text())
        shoal.terminate()
        assert shoal.wait(60.0) == 128 + signal.SIGTERM

    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert list(temporary.iterdir()) == []
    assert not (theirs / "out.tflite").exists()
