"""What `shoal train` writes, and what it leaves alone; one real child learns from drawn pictures."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from agent.wire.documents import Fit, Normalization
from deploy.assemble.factory import training
from deploy.assemble.factory.training import Request
from deploy.core.factory.training.words import Train, Trained
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from tests import labelled_pictures

REQUEST = Request(
    images=Path("pictures"),
    base="efficientnet_lite0",
    out=Path("model.keras"),
    side_px=64,
    fit=Fit.CENTRE_CROP,
    normalization=None,
    seed=0,
    epochs=12,
    dropout=0.2,
    views=0,
    mirror=True,
    fine_tune_layers=0,
    fine_tune_epochs=1,
)


class Factory:
    """Trains nothing: it writes what a child writes, and keeps its order."""

    def __init__(self, *, refuses: str = "") -> None:
        self.refuses = refuses
        self.order: Train | None = None

    def carry_out(self, order, on_progress):
        self.order = order
        on_progress(Progress(what="head, epoch 1"))
        if self.refuses:
            raise Refused(self.refuses)
        Path(order.out).write_bytes(b"keras")
        Path(order.confusion).write_bytes(b"png")
        return Trained(
            labels=("robin", "wren"),
            normalization=Normalization(mean=(127.0,), std=(128.0,)),
            training=8,
            validation=2,
            test=2,
            epochs=1,
            right=2,
            confusion=((1, 0), (0, 1)),
        )


def ignore(_):
    pass


@pytest.fixture(autouse=True)
def _pictures(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("desk")
    (folder / "pictures").mkdir()
    monkeypatch.chdir(folder)


def test_model_labels_and_confusion_stand_side_by_side(tmp_path):
    request = replace(REQUEST, out=tmp_path / "new" / "birds.keras")
    result = training.train(request, ignore, Factory())
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "birds.keras",
        "birds.txt",
        "birds_confusion.png",
    ]
    assert result.labels.read_text() == "robin\nwren\n"
    assert result.model.read_bytes() == b"keras"


def test_the_shipped_base_needs_no_network_and_no_path(tmp_path):
    factory = Factory()
    training.train(replace(REQUEST, out=tmp_path / "birds.keras"), ignore, factory)
    assert Path(factory.order.weights).read_bytes()[4:8] == b"TFL3"
    assert factory.order.base == "efficientnet_lite0"


def test_a_refusal_leaves_nothing_and_what_was_there_before_stands(tmp_path):
    (tmp_path / "birds.keras").write_bytes(b"old")
    with pytest.raises(Refused, match="the label wren has 3 pictures"):
        training.train(
            replace(REQUEST, out=tmp_path / "birds.keras"),
            ignore,
            Factory(refuses="the label wren has 3 pictures"),
        )
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"out": Path("birds.tflite")}, "birds.tflite: a trained model is written as .keras"),
        ({"out": Path("pictures/robin/birds.keras")}, "would lie among the pictures of pictures"),
        ({"images": Path("nowhere")}, "nowhere: there is no such folder of pictures"),
        ({"base": "resnet"}, "resnet is no base: there are efficientnet_lite0, mobilenet"),
        ({"base": "/nowhere/at/all.keras"}, "/nowhere/at/all.keras: there is no such file"),
    ],
)
def test_a_request_that_cannot_be_carried_out_starts_nothing(change, said):
    factory = Factory()
    with pytest.raises(Refused, match=said):
        training.train(replace(REQUEST, **change), ignore, factory)
    assert factory.order is None


def test_a_child_learns_three_drawn_kinds_from_the_shipped_base(tmp_path):
    pictures = labelled_pictures.make(tmp_path / "pictures", count=14)
    with Image.open(pictures / "discs" / "000.png") as once:
        once.save(pictures / "discs" / "once more.jpg", quality=80)
    (pictures / "bars" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    heard = []
    request = replace(REQUEST, images=pictures, out=tmp_path / "shapes.keras")
    trained = training.train(request, lambda said: heard.append(said.what)).trained
    assert trained.labels == ("bars", "discs", "rings")
    assert (trained.training, trained.validation, trained.test) == (31, 6, 6)
    assert trained.right >= 5
    assert trained.normalization == Normalization(mean=(127.0,), std=(128.0,))
    assert "left out, because they cannot be decoded: 1 of 44 pictures (bars/broken.jpg)" in trained.remarks
    assert trained.remarks[-1].startswith("pictures that look nearly alike were kept in one part")
    assert any(said.startswith("head, epoch 1: loss ") for said in heard)
    with Image.open(tmp_path / "shapes_confusion.png") as drawn:
        assert drawn.format == "PNG"
