"""Carries out `Train`: from a folder of labelled pictures to a Keras model."""

import math
from collections.abc import Iterable, Iterator, Sequence
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
from deploy.core.factory.training.words import Train, Trained
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from deploy.factory.training import augmenting, confusion, networks, teaching
from deploy.factory.training.dataset import Dataset, in_batches, read
from deploy.factory.training.networks import Base
from deploy.factory.training.teaching import Classes, Floats, Lesson
from deploy.ports.factory import OnProgress

_BATCH: Final = 32


def carry_out(order: Train, tell: OnProgress) -> Trained:
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
        self, order: Train, pictures: Dataset, base: Base, contract: InputContract, tell: OnProgress
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
        split = self._split
        seen = Lesson(self._features("validation", split.validation), _classes(split.validation))
        layer, epochs = teaching.head(self._order, self._training_features(), seen, self._weights, self._tell)
        self._network.trainable = False
        model = teaching.whole(self._network, layer, self._order.dropout)
        remarks = self._pictures.remarks
        if self._order.fine_tune_layers:
            remarks += (self._fine_tuned(model),)
        table = self._judge(model)
        self._write(model, table)
        return self._trained(table, epochs, remarks)

    def _fine_tuned(self, model: Any) -> str:
        altered = _Altered(self._order, self._pictures, self._preparer)
        validation = _Batches(self._pictures, self._preparer, self._split.validation)
        return teaching.fine_tune(self._order, model, altered, validation, self._weights, self._tell)

    def _training_features(self) -> Lesson:
        """Of every training picture as it is, and of its altered copies: computed once, learnt from often."""
        part, views = self._split.training, self._order.views + 1
        found = self._looked("training", _views(self._order, self._pictures, part), len(part) * views)
        if not np.isfinite(found).all():
            raise Refused(
                f"{self._order.base} gives numbers that are not finite: its weights are damaged, give "
                "another copy of it"
            )
        return Lesson(found, np.repeat(_classes(part), views))

    def _features(self, what: str, part: Sequence[Picture]) -> Floats:
        return self._looked(what, map(self._pictures.pixels, part), len(part))

    def _looked(self, what: str, pictures: Iterable[Pixels], total: int) -> Floats:
        """The features of pictures, which are never all in memory."""
        features = []
        for done, batch in enumerate(in_batches(pictures, _BATCH), 1):
            features.append(self._network.predict_on_batch(_prepared(self._preparer, batch)))
            self._tell(
                Progress(what=f"looking at {what} pictures", done=min(done * _BATCH, total), total=total)
            )
        return np.concatenate(features)

    def _judge(self, model: Any) -> tuple[tuple[int, ...], ...]:
        """What the test pictures were taken for: the only time that they are looked at."""
        self._tell(Progress(what="judging by the test pictures"))
        count = len(self._pictures.labels)
        table = np.zeros((count, count), np.int64)
        for part in in_batches(self._split.test, _BATCH):
            inputs = _prepared(self._preparer, map(self._pictures.pixels, part))
            np.add.at(table, (_classes(part), model.predict_on_batch(inputs).argmax(axis=1)), 1)
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


def _prepared(preparer: Preparer, pictures: Iterable[Pixels]) -> Floats:
    return np.concatenate([preparer.prepare(pixels) for pixels in pictures]).astype(np.float32, copy=False)


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
    """Pictures as they are."""

    def __init__(self, pictures: Dataset, preparer: Preparer, part: Sequence[Picture]) -> None:
        super().__init__()
        self._pictures = pictures
        self._preparer = preparer
        self._part = part

    def __len__(self) -> int:
        return math.ceil(len(self._part) / _BATCH)

    def __getitem__(self, number: int) -> tuple[Floats, Classes]:
        part = self._part[number * _BATCH : (number + 1) * _BATCH]
        return _prepared(self._preparer, map(self._pixels, part)), _classes(part)

    def _pixels(self, picture: Picture) -> Pixels:
        return self._pictures.pixels(picture)


class _Altered(_Batches):
    """The training pictures in an order that differs from epoch to epoch, altered anew each time."""

    def __init__(self, order: Train, pictures: Dataset, preparer: Preparer) -> None:
        super().__init__(pictures, preparer, pictures.split.training)
        self._mirror = order.mirror
        self._random = np.random.default_rng(order.seed)
        self.on_epoch_end()

    def _pixels(self, picture: Picture) -> Pixels:
        return augmenting.altered(super()._pixels(picture), self._random, mirror=self._mirror)

    def on_epoch_end(self) -> None:
        self._part = [self._part[place] for place in self._random.permutation(len(self._part))]
