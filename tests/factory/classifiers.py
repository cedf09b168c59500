"""Small trained classifiers and what they learn from: `python -P tests/factory/classifiers.py FOLDER OLDER`.

A program, so that the tests' own process never loads TensorFlow. Patterns of 12 x 12 pixels, of four classes,
are easy enough to learn in seconds, and noise keeps it from being perfect.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 12
CLASSES = 4
SEED = 11


def samples(count: int, seed: int) -> tuple[Any, Any]:
    """Bars that lie, stand, or run along a diagonal, under noise."""
    drawn = np.random.default_rng(seed)
    y = drawn.integers(0, CLASSES, count)
    place = np.arange(SIDE)
    forms = [
        place[:, None] + 0 * place,
        0 * place[:, None] + place,
        place[:, None] + place,
        place[:, None] - place,
    ]
    waves = [np.sin(form * 1.3) for form in forms]
    x = np.stack([waves[label] for label in y]) + drawn.normal(0.0, 1.2, (count, SIDE, SIDE))
    return x[..., None].astype(np.float32), y.astype(np.int64)


def main() -> None:
    folder, older = Path(sys.argv[1]), sys.argv[2]
    if older == "older":
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import tf_keras as keras
    else:
        import keras
    keras.utils.set_random_seed(SEED)
    x, y = samples(1600, 1)
    if older == "older":
        _save(keras, _plain(keras), x, y, folder / "older.h5")
        return
    np.savez(folder / "lesson.npz", x=x, y=y)
    np.savez(folder / "others.npz", x=x, y=y + 1)
    np.savez(folder / "huge.npz", x=np.full_like(x, 3e38), y=y)
    _save(keras, _nested(keras), x, y, folder / "nested.keras")
    _save(keras, _plain(keras), x, y, folder / "plain.keras")
    _save(keras, _odd(keras), x, y, folder / "odd.keras")
    _save(keras, _separable(keras), x, y, folder / "separable.keras")


def _save(keras: Any, model: Any, x: Any, y: Any, path: Path) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=path.stem == "plain")
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(x, y, batch_size=64, epochs=4, verbose=0)
    model.save(path)


def _plain(keras: Any) -> Any:
    """Ends in logits, but for the older Keras."""
    layers = keras.layers
    stack = [
        layers.Conv2D(8, 3, activation="relu", name="conv"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(CLASSES, name="logits"),
    ]
    if "tf_keras" in keras.__name__:
        stack.append(layers.Softmax())
    return keras.Sequential([keras.Input((SIDE, SIDE, 1), name="wave"), *stack])


def _nested(keras: Any) -> Any:
    """A network in a network, as transfer learning makes them: branches, normalization, depthwise."""
    layers = keras.layers
    inner = keras.Input((SIDE, SIDE, 1))
    signal = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(inner)
    signal = layers.ReLU(6.0)(layers.BatchNormalization()(signal))
    branch = layers.DepthwiseConv2D(3, padding="same", name="depth")(signal)
    base = keras.Model(inner, layers.Add()([signal, branch]), name="base")
    entry = keras.Input((SIDE, SIDE, 1), name="wave")
    signal = layers.Dropout(0.1)(layers.Flatten()(layers.MaxPooling2D(2)(base(entry))))
    return keras.Model(entry, layers.Dense(CLASSES, activation="softmax", name="head")(signal))


def _odd(keras: Any) -> Any:
    """Has a layer that can be pruned and is no part of quantization-aware training."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1), name="wave"),
            layers.Reshape((SIDE, SIDE)),
            layers.Conv1D(8, 3, activation="relu", name="along"),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax", name="head"),
        ]
    )


def _separable(keras: Any) -> Any:
    """Has a kernel of fewer weights than clusters, and one that the toolkit leaves alone."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1), name="wave"),
            layers.SeparableConv2D(12, 3, activation="relu", name="apart"),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax", name="head"),
        ]
    )


if __name__ == "__main__":
    main()
