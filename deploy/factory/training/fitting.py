"""Trains a network of the older Keras a little further, and stops at once where it falls apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from deploy.core.factory.training.supervised import Taught
from deploy.core.factory.training.words import Optimize
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from deploy.ports.factory import OnProgress

_PROBABILITIES = frozenset({"softmax"})
_JUDGED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Fitting:
    order: Optimize
    taught: Taught
    from_logits: bool
    tell: OnProgress

    @property
    def steps(self) -> int:
        """Of training, over all epochs of one technique."""
        return self.order.epochs * math.ceil(len(self.taught.labels) / self.order.batch)

    def fit(self, model: Any, what: str, callbacks: Sequence[Any] = ()) -> None:
        """
        Args:
            model: of the older Keras; it is changed.
            what: is being done, for those who wait.
            callbacks: of Keras, that the technique needs.

        Raises:
            Refused: the loss is no number any more; says at which step.
        """
        self.compile(model)
        watching = _Watching(self, what)
        model.fit(
            _Batches(self.taught, self.order.batch, np.random.default_rng(self.order.seed)),
            epochs=self.order.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, watching],
        )

    def compile(self, model: Any) -> None:
        model.compile(
            optimizer=tf_keras.optimizers.Adam(self.order.learning_rate),
            loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=self.from_logits),
        )


def gives_logits(model: Any) -> bool:
    """Whether its numbers still have to go through a softmax."""
    last = model.layers[-1]
    named = getattr(getattr(last, "activation", None), "__name__", "")
    return not (named in _PROBABILITIES or type(last).__name__ == "Softmax")


def right(model: Any, judged: Taught) -> NDArray[np.bool_]:
    """Of each sample, whether the model names its class first."""
    answers = model.predict(_Batches(judged, _JUDGED_AT_ONCE, None), verbose=0)
    found: NDArray[np.bool_] = answers.argmax(axis=-1) == judged.labels
    return found


class _Batches(tf_keras.utils.Sequence):  # type: ignore[misc] # Keras has no types
    def __init__(self, taught: Taught, size: int, shuffling: np.random.Generator | None) -> None:
        self._taught, self._size, self._shuffling = taught, size, shuffling
        self._rows = np.arange(len(taught.labels))
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._size)

    def __getitem__(self, place: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        rows = self._rows[place * self._size : (place + 1) * self._size]
        return self._taught.batch(rows), self._taught.labels[rows]

    def on_epoch_end(self) -> None:
        if self._shuffling is not None:
            self._shuffling.shuffle(self._rows)


class _Watching(tf_keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    def __init__(self, fitting: Fitting, what: str) -> None:
        super().__init__()
        self._fitting = fitting
        self._what = what
        self._step = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step += 1
        loss = logs["loss"]
        if not math.isfinite(loss):
            raise Refused(
                f"the loss became {loss} at step {self._step} of {self._fitting.steps} ({self._what}): give "
                f"a lower --learning-rate than {self._fitting.order.learning_rate:g}"
            )
        if batch == 0 or self._step % 20 == 0 or self._step == self._fitting.steps:
            self._fitting.tell(Progress(what=self._what, done=self._step, total=self._fitting.steps))
