"""What happens around a conversion, with a factory that needs no TensorFlow."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.tflite import flatmodel
from agent.core.tflite.flatmeta import Card
from deploy.assemble.factory import converting
from deploy.assemble.factory.converting import Request
from deploy.core.factory.conversion import metadata
from deploy.core.factory.conversion.words import (
    Agreement,
    Calibration,
    Convert,
    Converted,
    Quantize,
    Signature,
    TensorForm,
)
from deploy.core.factory.died import FactoryDied
from deploy.core.factory.orders import Answer, Order
from deploy.core.factory.words import Progress, Representative, Source, SourceKind
from deploy.core.refusal import Refused
from deploy.ports.factory import OnProgress
from tests.fakes.tflite import Form, classifier

CLASSIFIER = classifier(Form((1, 2, 2, 1), "float32"), Form((1, 4), "float32"))
CONVERTED = Converted(
    converter="tensorflow 2.21.0",
    source_digest="0" * 64,
    signatures=(
        Signature(
            name="serving_default",
            inputs=(TensorForm(name="image", shape=(1, 2, 2, 1), dtype="float32"),),
            outputs=(TensorForm(name="scores", shape=(1, 4), dtype="float32"),),
        ),
    ),
    calibration=Calibration(samples=100, digest="1" * 64),
    agreement=Agreement(samples=100, difference_max=0.01, difference_mean=0.005, same_first_share=0.99),
    compared_on="ai-edge-litert 2.3.0",
)


class Canned:
    """Writes the same bytes for every order, or ends as it was told to."""

    def __init__(self, content: bytes = CLASSIFIER, end: Exception | None = None) -> None:
        self.orders: list[Order] = []
        self._content = content
        self._end = end

    def carry_out(self, order: Order, on_progress: OnProgress) -> Answer:
        self.orders.append(order)
        on_progress(Progress(what="converting"))
        assert isinstance(order, Convert)
        Path(order.out).write_bytes(self._content)
        if self._end is not None:
            raise self._end
        return CONVERTED


def request(out: Path, **more: object) -> Request:
    source = Source(kind=SourceKind.KERAS, place="/birds.keras")
    return Request(source=source, out=out, quantize=Quantize.INT8, **more)


def test_the_file_says_what_it_is_and_where_it_came_from(tmp_path: Path) -> None:
    out = tmp_path / "birds.tflite"
    (tmp_path / "birds.txt").write_text("wren\nrobin\ntit\njay\n")
    factory = Canned()
    place = Representative(place=str(tmp_path / "photographs"))
    told = request(out, representative=(place,), labels=tmp_path / "birds.txt", card=Card(name="birds"))

    result = converting.convert(told, lambda _: None, factory)

    content = out.read_bytes()
    assert result.facts == flatmodel.examine(content)
    assert result.facts.card is not None
    assert result.facts.card.name == "birds"
    assert metadata.provenance(content) == metadata.Provenance(
        source_digest="0" * 64,
        converter="tensorflow 2.21.0",
        flags=("quantize=int8", "fit=centre-crop"),
        calibration=CONVERTED.calibration,
    )
    assert str(tmp_path).encode() not in content
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["birds.tflite", "birds.txt"]


def test_the_same_request_makes_the_same_bytes_wherever_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    outs = [tmp_path / "birds.tflite", tmp_path / "elsewhere" / "other.tflite"]

    for out in outs:
        converting.convert(request(out), lambda _: None, Canned())

    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (lambda: Canned(end=Refused("no such operator")), "no such operator"),
        (lambda: Canned(end=FactoryDied("died of SIGSEGV")), "SIGSEGV"),
        (lambda: Canned(content=CLASSIFIER[:60]), "damaged"),
    ],
)
def test_a_conversion_that_fails_leaves_what_was_there(
    tmp_path: Path, factory: Callable[[], Canned], reason: str
) -> None:
    out = tmp_path / "birds.tflite"
    out.write_bytes(b"the one before")

    with pytest.raises((Refused, FactoryDied), match=reason):
        converting.convert(request(out), lambda _: None, factory())

    assert out.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [out]


def test_labels_that_are_not_as_many_as_the_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "birds.txt").write_text("wren\nrobin\n")

    with pytest.raises(Refused, match=r"birds\.txt: .*2 .*4"):
        converting.convert(
            request(tmp_path / "birds.tflite", labels=tmp_path / "birds.txt"), lambda _: None, Canned()
        )

    assert not (tmp_path / "birds.tflite").exists()


def test_nothing_is_started_for_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    factory = Canned()

    with pytest.raises(Refused, match="there is no folder"):
        converting.convert(request(tmp_path / "nowhere" / "birds.tflite"), lambda _: None, factory)

    assert factory.orders == []


@pytest.mark.parametrize("what", ["source", "labels", "samples"])
def test_no_file_takes_the_place_of_what_it_is_made_from(tmp_path: Path, what: str) -> None:
    given, out = tmp_path / "birds.tflite", tmp_path / "." / "link.tflite"
    given.write_bytes(b"a\nb\nc\nd\n")
    out.symlink_to(given)
    place = Representative(place=str(given))
    told = {
        "source": Request(
            source=Source(kind=SourceKind.TFLITE, place=str(given)), out=out, quantize=Quantize.NONE
        ),
        "labels": request(out, labels=given),
        "samples": request(out, representative=(place,)),
    }

    with pytest.raises(Refused, match="is what it is made from"):
        converting.convert(told[what], lambda _: None, Canned())

    assert given.read_bytes() == b"a\nb\nc\nd\n"
