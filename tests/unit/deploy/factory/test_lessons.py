"""Labelled folders to learn from stay on disk until a batch of them is asked for."""

import mmap

import numpy as np
import pytest
from PIL import Image

from agent.wire.documents import Normalization
from deploy.core.factory.training.supervised import Wanted
from deploy.core.factory.training.words import Optimize, Technique
from deploy.core.factory.words import Look, Source, SourceKind
from deploy.core.refusal import Refused
from deploy.factory.training import lessons

WANTED = Wanted(shape=(8, 8, 3), classes=2)
LOOK = Look(normalization=Normalization(mean=(0.0,), std=(255.0,)))


@pytest.fixture
def folder(tmp_path):
    chance = np.random.default_rng(0)
    for label in ("left", "right"):
        (tmp_path / label).mkdir()
        for number in range(12):
            pixels = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    return tmp_path


def read(folder, wanted=WANTED):
    order = Optimize(
        source=Source(kind=SourceKind.KERAS, place="m.keras"),
        data=str(folder),
        techniques=(Technique.PRUNE,),
        out="o.keras",
        before="b",
        after="a",
        samples="s",
        look=LOOK,
    )
    return lessons.read(order, wanted, lambda _: None)


def test_pictures_of_a_folder_come_from_disk_as_the_model_takes_them(folder):
    lesson = read(folder)
    assert len(lesson.training.labels) + len(lesson.held_out.labels) == 24
    assert all(isinstance(found.base, mmap.mmap) for found in lesson.training.inputs.pixels)
    batch = lesson.held_out.batch(np.arange(len(lesson.held_out.labels)))
    assert (batch.dtype, batch.shape[1:]) == (np.float32, (8, 8, 3))
    held = [np.asarray(Image.open(path), np.float32) / 255 for path in folder.glob("*/*.png")]
    assert all(any(np.allclose(one, each) for each in held) for one in batch)


def test_folders_and_a_model_of_other_classes_are_refused(folder):
    with pytest.raises(Refused, match="has 2 labels, and the model gives 3 numbers"):
        read(folder, Wanted(shape=(8, 8, 3), classes=3))
