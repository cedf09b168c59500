"""A new head learns on the features of a network; then, if wanted, its last layers learn a little too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.training.words import Train
from deploy.core.factory.words import Progress
from deploy.ports.factory import OnProgress

Floats = NDArray[np.float32]
Classes = NDArray[np.int64]

_BATCH: Final = 32
_HEAD_RATE: Final = 3e-3
_FINE_RATE: Final = 3e-5
_BETTER: Final = 0.002
"""Of the validation loss: less is not worth another epoch, and makes answers surer than they should be."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Features of pictures and the classes that belong to them."""

    inputs: Floats
    classes: Classes


def head(
    order: Train, training: Lesson, validation: Lesson, weights: Mapping[int, float], tell: OnProgress
) -> tuple[Any, int]:
    """A layer that was taught, of as many outputs as there are weights, and after how many epochs."""
    layer = keras.layers.Dense(len(weights), activation="softmax", name="scores")
    model = keras.Sequential(
        [keras.Input(training.inputs.shape[1:]), keras.layers.Dropout(order.dropout), layer]
    )
    _compile(model, _HEAD_RATE)
    history = model.fit(
        training.inputs,
        training.classes,
        batch_size=_BATCH,
        epochs=order.epochs,
        validation_data=(validation.inputs, validation.classes),
        class_weight=dict(weights),
        callbacks=[_stop(order.patience), _Told(tell, order.epochs, "head")],
        verbose=0,
    )
    return layer, len(history.epoch)


def whole(base: Any, layer: Any, dropout: float) -> Any:
    """Pictures in, probabilities out, in one flat network."""
    # A base that was trained here has such a layer of its own.
    dropping = keras.layers.Dropout(dropout, name=f"dropout_{len(base.layers)}")
    scores = layer(dropping(base.outputs[0]))
    return keras.Model(base.inputs, scores)


def fine_tune(
    order: Train,
    model: Any,
    batches: keras.utils.PyDataset,
    validation: keras.utils.PyDataset,
    weights: Mapping[int, float],
    tell: OnProgress,
) -> str:
    """The last layers learn at a low rate; what did not help is undone.

    Returns:
        What came of it, in words.
    """
    _unfreeze(model, order.fine_tune_layers)
    _compile(model, _FINE_RATE)
    before = model.get_weights()
    loss_before = _loss(model, validation)
    model.fit(
        batches,
        epochs=order.fine_tune_epochs,
        validation_data=validation,
        class_weight=dict(weights),
        callbacks=[_stop(order.patience), _Told(tell, order.fine_tune_epochs, "fine-tuning")],
        verbose=0,
    )
    loss = _loss(model, validation)
    if loss < loss_before:
        return f"fine-tuning lowered the validation loss from {loss_before:.3f} to {loss:.3f}"
    model.set_weights(before)
    return (
        f"fine-tuning did not lower the validation loss ({loss_before:.3f}, then {loss:.3f}) and was undone"
    )


def _unfreeze(model: Any, count: int) -> None:
    """The head and so many layers before it; batch normalization keeps its statistics, which a small set of
    pictures would spoil.
    """
    learning = [
        layer
        for layer in model.layers
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    ][-count - 1 :]
    for layer in model.layers:
        layer.trainable = layer in learning


def _compile(model: Any, rate: float) -> None:
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


def _loss(model: Any, batches: keras.utils.PyDataset) -> float:
    found: Sequence[float] = model.evaluate(batches, verbose=0)
    return float(found[0])


def _stop(patience: int) -> Any:
    return keras.callbacks.EarlyStopping(
        monitor="val_loss", min_delta=_BETTER, patience=patience, restore_best_weights=True
    )


class _Told(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is not read for its types
    def __init__(self, tell: OnProgress, epochs: int, what: str) -> None:
        super().__init__()
        self._tell = tell
        self._epochs = epochs
        self._what = what

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        found = logs or {}
        said = (
            f"{self._what}, epoch {epoch + 1}: loss {found['loss']:.3f}, right {found['accuracy']:.1%}; "
            f"validation loss {found['val_loss']:.3f}, right {found['val_accuracy']:.1%}"
        )
        self._tell(Progress(what=said, done=epoch + 1, total=self._epochs))
