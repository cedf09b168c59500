"""Sources of every kind: what a function returns, and samples for it. Loaded in the factory's process."""

import numpy as np

STEPS, SIDE = 14, 12


def _uniform(seed, **shapes):
    generator = np.random.default_rng(seed)
    for _ in range(100):
        yield {
            name: generator.uniform(-1, 1, (1, *shape)).astype(np.float32) for name, shape in shapes.items()
        }


def images():
    yield from _uniform(1, image=(SIDE, SIDE, 3))


def sequences():
    yield from _uniform(2, sequence=(STEPS, 16))


def sequences_and_more():
    yield from _uniform(3, sequence=(STEPS, 16), more=(4,))


def words():
    generator = np.random.default_rng(4)
    for _ in range(100):
        yield {"words": generator.integers(0, 200, (1, 20), dtype=np.int32)}


def _drawn(*shape, seed=5):
    # A classifier whose classes lie apart, as in a trained one: noise over ten alike classes ranks nothing.
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[:-1]))


def jax_function():
    import jax

    kernel, dense = _drawn(3, 3, 3, 24), 8 * _drawn(24 * (SIDE - 2) ** 2, 10)

    def answer(image):
        seen = jax.lax.conv_general_dilated(
            image, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return {"scores": jax.nn.softmax(jax.nn.relu(seen).reshape(1, -1) @ dense)}

    return answer, np.zeros((1, SIDE, SIDE, 3), np.float32)


def _torch_network():
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = torch.nn.Conv2d(3, 24, 3)
            self.dense = torch.nn.Linear(24 * (SIDE - 2) ** 2, 10)

        def forward(self, image):
            seen = torch.relu(self.seen(image)).flatten(1)
            return torch.softmax(8 * self.dense(seen), -1)

    torch.manual_seed(0)
    return Network()


def torch_module():
    import litert_torch
    import torch

    return litert_torch.to_channel_last_io(_torch_network(), args=[0]), torch.zeros(1, SIDE, SIDE, 3)


def torch_samples():
    yield from _uniform(1, args_0=(SIDE, SIDE, 3))


def _trained(model):
    """With biases: while those of a GRU are nought its first step leaves an output of SPLIT unread, and the
    converter has no integer form of that.
    """
    generator = np.random.default_rng(8)
    for variable in model.weights:
        if "bias" in variable.name:
            variable.assign(generator.normal(0.0, 0.1, variable.shape))
    return model


def _recurrent(library, kind, **more):
    layers = library.layers
    library.utils.set_random_seed(1)
    sequence = layers.Input((STEPS, 16), name="sequence")
    seen = getattr(layers, kind)(24, **more)(sequence)
    return _trained(library.Model(sequence, layers.Dense(10, activation="softmax", name="scores")(8 * seen)))


def lstm():
    import keras

    return _recurrent(keras, "LSTM")


def lstm_older():
    import tf_keras

    return _recurrent(tf_keras, "LSTM")


def gru():
    import keras

    return _recurrent(keras, "GRU")


def gru_older():
    import tf_keras

    return _recurrent(tf_keras, "GRU")


def two_ends():
    """Bidirectional, two inputs and two outputs."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    sequence, more = layers.Input((STEPS, 16), name="sequence"), layers.Input((4,), name="more")
    seen = layers.LSTM(16, return_sequences=True)(sequence)
    seen = layers.Bidirectional(layers.LSTM(8))(seen)
    both = layers.Concatenate()([seen, more])
    ends = [
        layers.Dense(3, name="place")(both),
        layers.Dense(2, activation="softmax", name="share")(8 * both),
    ]
    return keras.Model([sequence, more], ends)


def deep():
    """Mixed precision, a GRU in a model within the model, and inputs by names that are not in their order."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    keras.mixed_precision.set_global_policy("mixed_float16")
    sequence, more = layers.Input((STEPS, 16), name="sequence"), layers.Input((4,), name="more")
    inner = keras.Sequential([layers.Input((STEPS, 16)), layers.GRU(12), layers.Dense(8)])
    both = layers.Concatenate()([inner(sequence), more])
    scores = layers.Dense(5, dtype="float32", activation="softmax", name="scores")(6 * both)
    keras.mixed_precision.set_global_policy("float32")
    return _trained(keras.Model({"sequence": sequence, "more": more}, scores))


def convolutional():
    """A recurrent layer of convolutions, over six small pictures."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    sequence = layers.Input((6, 8, 8, 2), name="film")
    seen = layers.Flatten()(layers.ConvLSTM2D(4, 3)(sequence))
    return keras.Model(sequence, layers.Dense(10, name="scores")(seen))


def films():
    yield from _uniform(7, film=(6, 8, 8, 2))


def states():
    """What one LSTM has seen in the end is where another begins."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    sequence = layers.Input((STEPS, 16), name="sequence")
    _, *states = layers.LSTM(12, return_state=True)(sequence)
    told = layers.LSTM(12, return_sequences=True)(sequence, initial_state=states)
    return keras.Model(sequence, layers.Dense(6, name="scores")(layers.Flatten()(told)))


def called():
    """A subclassed model, which knows its inputs because it was called once."""
    import keras

    class Called(keras.Model):
        def __init__(self):
            super().__init__()
            self.seen = keras.layers.Conv2D(8, 3, activation="relu")
            self.scores = keras.layers.Dense(10)

        def call(self, image):
            return {"scores": self.scores(keras.ops.mean(self.seen(image), (1, 2)))}

    keras.utils.set_random_seed(1)
    made = Called()
    made(np.zeros((1, SIDE, SIDE, 3), np.float32))
    return made


def pictures_of_any_name():
    yield from _uniform(1, input_0=(SIDE, SIDE, 3))


def tokens():
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    given = layers.Input((20,), name="words", dtype="int32")
    seen = layers.GlobalAveragePooling1D()(layers.Embedding(200, 32)(given))
    return keras.Model(given, layers.Dense(4, activation="softmax", name="scores")(30 * seen))


def embedding():
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    image = layers.Input((SIDE, SIDE, 3), name="image")
    seen = layers.Conv2D(48, 3, activation="relu")(image)
    return keras.Model(image, layers.GlobalAveragePooling2D(name="vector")(seen))


def text():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1], tf.string, "text")])
    def answer(text):
        return tf.strings.length(text)

    return answer


def inception():
    import keras

    keras.utils.set_random_seed(1)
    return keras.applications.InceptionV3(weights=None)


def pictures():
    for index, each in enumerate(_uniform(6, keras_tensor=(299, 299, 3))):
        if index == 4:
            return
        yield each
