"""What `shoal optimize` refuses before it starts a process: nothing is loaded for it."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.assemble.factory import optimizing
from deploy.assemble.factory.optimizing import Request
from deploy.core.factory.training.optimizing import Settings
from deploy.core.factory.training.words import Technique
from deploy.core.factory.words import Look
from deploy.core.refusal import Refused

REQUEST = Request(
    model=Path("birds.keras"),
    data="birds.npz",
    out=Path("small.keras"),
    techniques=(Technique.PRUNE,),
    settings=Settings(epochs=1, batch=8, learning_rate=1e-4, sparsity=0.5, clusters=16, held_out=0.2, seed=0),
    look=Look(),
)


def never(said):
    raise AssertionError(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": Path("wrens.keras")}, "wrens.keras cannot be read: No such file"),
        ({"data": "wrens.npz"}, "wrens.npz: there is no such file or folder of data"),
        ({"data": "wrens"}, "wrens: there is no such file or folder of data"),
        ({"out": Path("nowhere/small.keras")}, "nowhere/small.keras: there is no folder"),
        ({"convert": Path("nowhere/small.tflite")}, "nowhere/small.tflite: there is no folder"),
        ({"convert": Path("folder")}, "folder is a folder: name a file"),
    ],
)
def test_what_is_not_there_is_refused_at_once(tmp_path, monkeypatch, change, said):
    monkeypatch.chdir(tmp_path)
    for name in ("birds.keras", "birds.npz"):
        Path(name).write_bytes(b"never opened")
    Path("folder").mkdir()
    with pytest.raises(Refused, match=said):
        optimizing.optimize(replace(REQUEST, **change), never)
