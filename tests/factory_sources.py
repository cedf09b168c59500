"""Small source models of every kind that TensorFlow reads, and orders carried out on them.

The tests' own process never loads TensorFlow: `carry_out` runs this file as a program, which makes the models
in a folder and answers the orders on its standard input from there, all in one process.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import numpy as np

from agent.wire.errors import AgentError
from deploy.core.factory.conversion.words import Convert, Converted, Quantize
from deploy.core.factory.words import Refusal, Representative, Source, SourceKind

ROOT = Path(__file__).resolve().parents[1]

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
    inputs = keras.Input((12, 12, 3), name="image")
    seen = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(seen)))


def infinite():
    @tf.function(input_signature=[tf.TensorSpec([1, 8], tf.float32, "numbers")])
    def answer(numbers):
        return tf.math.log(tf.zeros_like(numbers)) + numbers

    return answer


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


def _keras(folder: Path) -> None:
    import keras

    keras.utils.set_random_seed(1)
    newer = _network(keras)
    newer.save(folder / "newer.keras")
    (folder / "damaged.keras").write_bytes((folder / "newer.keras").read_bytes()[:2000])
    _two_ends(keras).save(folder / "two_ends.keras")
    _open_size(keras).save(folder / "open_size.keras")
    kernel, bias = newer.get_layer("hidden").get_weights()
    kernel[0, 0] = np.nan
    newer.get_layer("hidden").set_weights([kernel, bias])
    newer.save(folder / "not_a_number.keras")


def _keras_exports(folder: Path) -> None:
    import keras

    keras.utils.set_random_seed(1)
    newer = _network(keras)
    newer.save(folder / "newer.h5")
    newer.save_weights(folder / "only.weights.h5")
    newer.export(folder / "exported", verbose=False)


def _older_keras(folder: Path) -> None:
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    older = _network(tf_keras)
    older.save(folder / "older.h5")
    older.save(folder / "older.keras")


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


def _modules(folder: Path) -> None:
    import tensorflow as tf

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
    (folder / "empty").mkdir()
    (folder / "nothing.h5").write_bytes(b"nothing")
    (folder / "theirs.py").write_text(dedent(FUNCTIONS))
    (folder / "broken.py").write_text("import nowhere_to_be_found\n")


MAKERS = {
    "newer.keras": _keras,
    "damaged.keras": _keras,
    "two_ends.keras": _keras,
    "open_size.keras": _keras,
    "not_a_number.keras": _keras,
    "newer.h5": _keras_exports,
    "only.weights.h5": _keras_exports,
    "exported": _keras_exports,
    "older.h5": _older_keras,
    "older.keras": _older_keras,
    "module": _modules,
    "without_signatures": _modules,
    "erf": _operators,
    "sine": _operators,
}
"""Who makes each source: a test that needs few waits for few."""


def make(folder: Path, places: Iterable[str]) -> None:
    """The sources of these names, and every file of samples and functions."""
    if not (folder / "theirs.py").exists():
        _samples(folder)
    for place in places:
        if not (folder / place).exists() and place in MAKERS:
            MAKERS[place](folder)


def ordered(kind: SourceKind, place: str, quantize: Quantize, *given: str, **more: Any) -> Convert:
    """
    Args:
        kind: of the source.
        place: below the folder of `make`, or a function.
        quantize: the mode.
        given: representative data, each `PLACE` or `SIGNATURE=PLACE`.
        more: of the order.
    """
    data = [each.rpartition("=") for each in given]
    return Convert(
        source=Source(kind=kind, place=place),
        quantize=quantize,
        out=f"{place.replace(':', '_')}.{quantize}{''.join(sorted(more))}.tflite",
        representative=tuple(Representative(signature=name, place=where) for name, _, where in data),
        **more,
    )


def carry_out(folder: Path, orders: Sequence[Convert]) -> list[Converted | Refusal]:
    """What comes of each order; the files lie in the folder under the orders' own names."""
    answers = folder / "answers.json"
    done = subprocess.run(
        [sys.executable, "-P", str(Path(__file__).resolve()), str(folder), str(answers)],
        input=msgspec.json.encode(orders),
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]
    return msgspec.json.decode(answers.read_bytes(), type=list[Converted | Refusal])


def _carried_out(order: Convert) -> Converted | Refusal:
    from deploy.factory.conversion import convert

    try:
        return convert.carry_out(order, lambda _: None)
    except AgentError as error:
        return Refusal(detail=str(error))


def main() -> None:
    folder, answers = map(Path, sys.argv[1:])
    os.chdir(folder)
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Convert])
    make(folder, [order.source.place for order in orders])
    answers.write_bytes(msgspec.json.encode([_carried_out(order) for order in orders]))
    os._exit(0)


if __name__ == "__main__":
    main()
