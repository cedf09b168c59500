"""Carries out `Train`: from a folder of labelled pictures to a Keras model."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from msgspec.structs import replace
from PIL import Image

from agent.core.camera.frames import Pixels
from agent.core.inference.tensors import Preparer
from agent.ports.runtime import TensorInfo
from agent.wire.documents import Dtype, InputContract
from deploy.core.factory.training import dataset
from deploy.core.factory.training.dataset import Picture, Shares
from deploy.core.factory.words import Progress, Train, Trained
from deploy.core.refusal import Refused
from deploy.factory.training import augmenting, confusion, networks, teaching
from deploy.factory.training.dataset import Dataset, in_batches, read
from deploy.factory.training.networks import Base
from deploy.factory.training.teaching import Classes, Floats, Lesson

Tell = Callable[[Progress], None]
_BATCH: Final = 32


def carry_out(order: Train, tell: Tell) -> Trained:
    """
    Raises:
        Refused: the pictures or the base cannot be used.
    """
    contract = _contract(order)
    pictures = read(Path(order.images), contract, Shares(), order.seed, tell)
    keras.utils.set_random_seed(order.seed)
    tf.config.experimental.enable_op_determinism()
    tell(Progress(what=f"opening {Path(order.base).name}"))
    base = networks.open_base(order)
    contract = replace(contract, normalization=order.look.normalization or base.normalization)
    return _Training(order, pictures, base, contract, tell).run()


def _contract(order: Train) -> InputContract:
    return InputContract(
        height_px=order.side_px,
        width_px=order.side_px,
        channels=3,
        dtype=Dtype.FLOAT32,
        fit=order.look.fit,
        normalization=order.look.normalization,
    )


class _Training:
    def __init__(
        self, order: Train, pictures: Dataset, base: Base, contract: InputContract, tell: Tell
    ) -> None:
        form = TensorInfo("image", (1, order.side_px, order.side_px, 3), Dtype.FLOAT32, None)
        self._order = order
        self._pictures = pictures
        self._split = pictures.split
        self._network = base.network
        self._contract = contract
        self._preparer = Preparer(contract, form)
        self._weights = dataset.weights(pictures.split.training)
        self._tell = tell

    def run(self) -> Trained:
        validation = self._lesson(self._split.validation)
        layer, epochs = teaching.head(
            self._order,
            self._training_features(),
            Lesson(self._features("validation", validation.inputs), validation.classes),
            self._weights,
            self._tell,
        )
        self._network.trainable = False
        model = teaching.whole(self._network, layer, self._order.dropout)
        remarks = self._pictures.remarks
        if self._order.fine_tune_layers:
            batches = _Batches(self._order, self._pictures, self._preparer)
            remarks += (
                teaching.fine_tune(self._order, model, batches, validation, self._weights, self._tell),
            )
        table = self._judge(model)
        self._write(model, table)
        return self._trained(table, epochs, remarks)

    def _lesson(self, part: Sequence[Picture]) -> Lesson:
        return Lesson(self._prepared([self._pictures.pixels(each) for each in part]), _classes(part))

    def _prepared(self, pictures: Sequence[Pixels]) -> Floats:
        return np.concatenate([self._preparer.prepare(pixels) for pixels in pictures]).astype(np.float32)

    def _training_features(self) -> Lesson:
        """Of every training picture as it is, and of its altered copies: computed once, learnt from often."""
        part, views = self._split.training, self._order.views
        every = list(_views(self._order, self._pictures, part))
        features = []
        for done, batch in enumerate(in_batches(every, _BATCH), 1):
            features.append(self._network.predict_on_batch(self._prepared(batch)))
            self._tell(
                Progress(what="looking at pictures", done=min(done * _BATCH, len(every)), total=len(every))
            )
        found = np.concatenate(features)
        if not np.isfinite(found).all():
            raise Refused(f"{self._order.base} gives numbers that are not finite: its weights are damaged")
        return Lesson(found, np.repeat(_classes(part), views + 1))

    def _features(self, what: str, inputs: Floats) -> Floats:
        self._tell(Progress(what=f"looking at {what} pictures"))
        found: Floats = self._network.predict(inputs, batch_size=_BATCH, verbose=0)
        return found

    def _judge(self, model: Any) -> tuple[tuple[int, ...], ...]:
        """What the test pictures were taken for: the only time that they are looked at."""
        self._tell(Progress(what="judging by the test pictures"))
        count = len(self._pictures.labels)
        table = np.zeros((count, count), np.int64)
        for part in in_batches(self._split.test, _BATCH):
            lesson = self._lesson(part)
            np.add.at(table, (lesson.classes, model.predict_on_batch(lesson.inputs).argmax(axis=1)), 1)
        return tuple(tuple(row) for row in table.tolist())

    def _write(self, model: Any, table: Sequence[Sequence[int]]) -> None:
        if self._order.confusion:
            confusion.draw(table, self._pictures.labels, Path(self._order.confusion))
        if self._order.calibration:
            chosen = dataset.spread(self._split.training, self._order.calibration_pictures)
            for number, picture in enumerate(chosen):
                place = Path(self._order.calibration) / f"{number:05}.png"
                Image.fromarray(self._pictures.pixels(picture)).save(place)
        model.save(self._order.out)

    def _trained(self, table: tuple[tuple[int, ...], ...], epochs: int, remarks: tuple[str, ...]) -> Trained:
        assert self._contract.normalization is not None
        return Trained(
            labels=self._pictures.labels,
            normalization=self._contract.normalization,
            training=len(self._split.training),
            validation=len(self._split.validation),
            test=len(self._split.test),
            epochs=epochs,
            right=sum(row[label] for label, row in enumerate(table)),
            confusion=table,
            remarks=remarks,
        )


def _classes(part: Sequence[Picture]) -> Classes:
    return np.array([picture.label for picture in part], np.int64)


def _views(order: Train, pictures: Dataset, part: Sequence[Picture]) -> Iterator[Pixels]:
    """Each picture, and behind it its altered copies; what they are depends on its content and the seed."""
    for picture in part:
        pixels = pictures.pixels(picture)
        yield pixels
        random = np.random.default_rng([order.seed, int(picture.digest[:16], 16)])
        for _ in range(order.views):
            yield augmenting.altered(pixels, random, mirror=order.mirror)


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras is not read for its types
    """The training pictures in an order that differs from epoch to epoch, altered anew each time."""

    def __init__(self, order: Train, pictures: Dataset, preparer: Preparer) -> None:
        super().__init__()
        self._pictures = pictures
        self._preparer = preparer
        self._mirror = order.mirror
        self._random = np.random.default_rng(order.seed)
        self._order = self._random.permutation(len(pictures.split.training))

    def __len__(self) -> int:
        return math.ceil(len(self._order) / _BATCH)

    def __getitem__(self, number: int) -> tuple[Floats, Classes]:
        part = [
            self._pictures.split.training[place]
            for place in self._order[number * _BATCH : (number + 1) * _BATCH]
        ]
        inputs = [
            self._preparer.prepare(
                augmenting.altered(self._pictures.pixels(each), self._random, mirror=self._mirror)
            )
            for each in part
        ]
        return np.concatenate(inputs).astype(np.float32), _classes(part)

    def on_epoch_end(self) -> None:
        self._order = self._random.permutation(len(self._order))
