"""Small source models of every kind that TensorFlow reads, and orders carried out: `python -P` runs it.

A program, so that the tests' own process never loads TensorFlow: it makes the models in the folder named
first, carries out the orders on its standard input (a JSON list), and writes what came of them, a JSON list
too, to the file named second.
"""

import os
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import numpy as np

from agent.wire.errors import AgentError
from deploy.core.factory.words import Convert, Converted, Refusal

SIDE = 12
CLASSES = 10

FUNCTIONS = """
import keras
import numpy as np
import tensorflow as tf


def _weights():
    return tf.Variable(np.random.default_rng(5).normal(size=(8, 160)).astype(np.float32), name="kernel")


def plain():
    kernel = _weights()

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, "numbers")])
    def answer(numbers):
        return tf.nn.relu(numbers @ kernel)

    return answer


def concrete():
    module = tf.Module()
    module.kernel = _weights()
    module.answer = tf.function(lambda numbers: {"sums": numbers @ module.kernel})
    return module.answer.get_concrete_function(tf.TensorSpec([1, 8], tf.float32, "numbers"))


class _Two(tf.Module):
    def __init__(self):
        super().__init__()
        self.kernel = _weights()

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, "numbers")])
    def embed(self, numbers):
        return {"vector": numbers @ self.kernel}

    @tf.function(input_signature=[tf.TensorSpec([None, 160], tf.float32, "vector")])
    def decide(self, vector):
        return {"scores": tf.nn.softmax(8.0 * vector)}


def module():
    return _Two()


def network():
    return keras.saving.load_model("newer.keras")


def text():
    return "no model"


def fails():
    shape = None
    return shape[0]


def numbers():
    for _ in range(100):
        yield {"numbers": np.ones((1, 8), np.float32)}


def takes():
    generator = np.random.default_rng(3)
    for _ in range(100):
        yield {"numbers": generator.normal(size=(1, 8)).astype(np.float32)}
"""


def make(folder: Path) -> None:
    import keras
    import tf_keras

    keras.utils.set_random_seed(1)
    newer = _network(keras)
    newer.save(folder / "newer.keras")
    newer.save(folder / "newer.h5")
    newer.save_weights(folder / "only.weights.h5")
    newer.export(folder / "exported", verbose=False)
    older = _network(tf_keras)
    older.save(folder / "older.h5")
    older.save(folder / "older.keras")
    _two_ends(keras).save(folder / "two_ends.keras")
    _open_size(keras).save(folder / "open_size.keras")
    kernel = newer.get_layer("hidden").get_weights()[0]
    kernel[0, 0] = np.nan
    newer.get_layer("hidden").set_weights([kernel, newer.get_layer("hidden").get_weights()[1]])
    newer.save(folder / "not_a_number.keras")
    _functions(folder)
    _operators(folder)
    _samples(folder)


def _network(library: Any) -> Any:
    layers = library.layers
    image = layers.Input((SIDE, SIDE, 3), name="image")
    seen = layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    seen = layers.BatchNormalization()(seen)
    seen = layers.Dense(32, activation="relu", name="hidden")(layers.Flatten()(seen))
    scores = layers.Dense(CLASSES, activation="softmax", name="scores")(seen)
    return library.Model(image, scores)


def _two_ends(library: Any) -> Any:
    layers = library.layers
    left, right = layers.Input((8,), name="left"), layers.Input((4,), name="right")
    both = layers.Dense(128, activation="relu")(layers.Concatenate()([left, right]))
    ends = {
        "total": layers.Dense(3, name="total")(both),
        "share": layers.Dense(5, activation="softmax")(both),
    }
    return library.Model({"left": left, "right": right}, ends)


def _open_size(library: Any) -> Any:
    layers = library.layers
    image = layers.Input((None, None, 3), name="image")
    seen = layers.GlobalAveragePooling2D()(layers.Conv2D(40, 3, activation="relu")(image))
    return library.Model(image, layers.Dense(4, activation="softmax")(seen))


def _functions(folder: Path) -> None:
    import tensorflow as tf

    (folder / "theirs.py").write_text(dedent(FUNCTIONS))
    (folder / "broken.py").write_text("import nowhere_to_be_found\n")
    sys.path.insert(0, str(folder))
    import theirs

    module = theirs.module()
    signatures = {"embed": module.embed, "decide": module.decide}
    tf.saved_model.save(module, str(folder / "module"), signatures=signatures)
    tf.saved_model.save(module, str(folder / "without_signatures"), signatures={})


def _operators(folder: Path) -> None:
    import tensorflow as tf

    for name, answer in (("erf", tf.math.erf), ("sine", lambda numbers: tf.sin(numbers) * 2.0)):
        module = tf.Module()
        module.answer = tf.function(
            answer, input_signature=[tf.TensorSpec([1, 8], tf.float32, "numbers")], autograph=False
        )
        tf.saved_model.save(module, str(folder / name), signatures=module.answer)


def _samples(folder: Path) -> None:
    generator = np.random.default_rng(2)

    def drawn(*shape: int) -> np.ndarray:
        return generator.uniform(-1, 1, shape).astype(np.float32)

    np.savez(folder / "images.npz", image=drawn(100, SIDE, SIDE, 3))
    np.savez(folder / "wrong.npz", image=drawn(100, SIDE + 1, SIDE, 3))
    np.savez(folder / "ends.npz", left=drawn(100, 8), right=drawn(100, 4))
    np.savez(folder / "numbers.npz", numbers=drawn(100, 8))
    np.savez(folder / "vectors.npz", vector=drawn(100, 160))
    (folder / "damaged.keras").write_bytes((folder / "newer.keras").read_bytes()[:2000])
    (folder / "empty").mkdir()
    (folder / "nothing.h5").write_bytes(b"nothing")


def carried_out(order: Convert) -> Converted | Refusal:
    from deploy.factory import convert

    try:
        return convert.carry_out(order, lambda _: None)
    except AgentError as error:
        return Refusal(detail=str(error))


def main() -> None:
    folder, answers = map(Path, sys.argv[1:])
    os.chdir(folder)
    make(folder)
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Convert])
    answers.write_bytes(msgspec.json.encode([carried_out(order) for order in orders]))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
