"""Trains the network of the quantization guides; a program of its own, since it needs TensorFlow.

    python -m deploy.recipes.mnist.training DIGITS.npz OUT.keras EPOCHS

The network is that of TensorFlow's guides "Post-training dynamic range quantization", "... float16 ..." and
"... integer quantization" (tensorflow.org/lite/performance): 20,410 weights, logits. There it begins with a
layer that gives a picture its channel; here pictures come with it.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

SEED: Final = 0
FILTERS: Final = 12
BATCH: Final = 128
LEARNING_RATE: Final = 2e-3
DECAY: Final = 0.6
"""Of the learning rate, from one epoch to the next."""


def main() -> int:
    digits, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tf, keras = importlib.import_module("tensorflow"), importlib.import_module("keras")
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    with np.load(digits) as arrays:
        model = _trained(keras, arrays["x"][..., np.newaxis].astype(np.float32) / 255, arrays["y"], epochs)
    model.save(out)
    return 0


def _trained(keras: Any, images: Any, labels: Any, epochs: int) -> Any:
    model = _network(keras)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    slower = keras.callbacks.LearningRateScheduler(lambda epoch: LEARNING_RATE * DECAY**epoch)
    said = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: _tell(epoch + 1, epochs, logs))
    model.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[slower, said])
    return model


def _network(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(FILTERS, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(),
            layers.Dense(10, name="digit"),
        ],
        name="m",
    )


def _tell(epoch: int, epochs: int, logs: Any) -> None:
    sys.stdout.write(f"epoch {epoch} of {epochs}: {logs['accuracy']:.4f} right of those it learns from\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
