"""A Keras model in the older Keras: the Model Optimization Toolkit knows no other.

What the newer Keras wrote is built again, layer by layer, from what each says of itself; initializers,
regularizers and constraints are left behind, because weights are copied. A model within a model is laid out
in the outer one, since the toolkit does not look into it. Both must give the same numbers afterwards.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tf_keras

from deploy.core.refusal import Refused
from deploy.factory.faults import one_line
from deploy.factory.sources.keras_files import OLDER, written_by

_ALWAYS: Final = frozenset({"name", "trainable"})
_LEFT_BEHIND: Final = ("_initializer", "_regularizer", "_constraint")
_SAME: Final = 1e-4
"""Of the largest answer: the same additions in another order differ by a hundredth of that."""
_LOADING: Final = (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Opened:
    model: Any
    """Of the older Keras, not compiled."""
    newer: Any | None
    """The model as it was written; None: the older Keras wrote it."""
    twins: Mapping[str, Any]
    """Layers of `newer` by the name of the one that stands for them in `model`."""

    def save(self, optimized: Any, out: Path) -> None:
        """Writes the model of the older Keras as what the source was: of the newer one where that was it.

        Args:
            optimized: has the layers of `model`, with other weights.
            out: ends in .keras or .h5.
        """
        if self.newer is None:
            optimized.save(out, include_optimizer=False)
            return
        for name, twin in self.twins.items():
            twin.set_weights(optimized.get_layer(name).get_weights())
        self.newer.save(out)


def load(path: Path) -> Opened:
    """
    Raises:
        Refused: neither Keras can load it, or a layer has no counterpart in the older one.
    """
    if written_by(path) == OLDER:
        model = _loaded(tf_keras, path)
        _check(model)
        return Opened(model, None, {})
    newer = _loaded(keras, path)
    _check(newer)
    return _rebuilt(newer)


def _loaded(package: Any, path: Path) -> Any:
    try:
        return package.models.load_model(path, compile=False)
    except _LOADING as error:
        raise Refused(f"{path} cannot be loaded as a Keras model: {one_line(error)}") from error


def _check(model: Any) -> None:
    inputs, outputs = (getattr(model, each, None) or () for each in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        raise Refused(
            f"the model {model.name!r} has {len(inputs)} inputs and {len(outputs)} outputs that are known: "
            "classifiers of one input and one output can be optimized, built as Sequential or Functional"
        )


def _rebuilt(newer: Any) -> Opened:
    building = _Building()
    (source,) = newer.inputs
    entry = tf_keras.Input(tuple(source.shape[1:]), dtype=str(source.dtype), name=source.name)
    (outcome,) = building.network(newer, [entry])
    model = tf_keras.Model(entry, outcome, name=newer.name)
    for name, twin in building.twins.items():
        model.get_layer(name).set_weights(twin.get_weights())
    _compare(newer, model)
    return Opened(model, newer, building.twins)


def _compare(newer: Any, older: Any) -> None:
    shape = [4, *(size or 1 for size in newer.inputs[0].shape[1:])]
    drawn = np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(newer.inputs[0].dtype)
    wanted, found = np.asarray(newer(drawn, training=False)), np.asarray(older(drawn, training=False))
    if not np.allclose(wanted, found, atol=_SAME * max(1.0, float(np.abs(wanted).max())), rtol=0.0):
        raise Refused(
            f"the model {newer.name!r} gives other numbers in the older Keras, which the Model Optimization "
            "Toolkit needs: train it with tf_keras and save it as .h5"
        )


@dataclass(slots=True)
class _Building:
    twins: dict[str, Any] = field(default_factory=dict)
    _made: dict[int, Any] = field(default_factory=dict)

    def network(self, model: Any, inputs: Sequence[Any]) -> list[Any]:
        if isinstance(model, keras.Sequential):
            signal = inputs[0]
            for layer in model.layers:
                signal = self._call(layer, [signal], {})
            return [signal]
        return self._graph(model, inputs)

    def _graph(self, model: Any, inputs: Sequence[Any]) -> list[Any]:
        config = model.get_config()
        signals = dict(zip(_places(config["input_layers"]), inputs, strict=True))
        waiting = [
            (layer, place, node)
            for layer in config["layers"]
            for place, node in enumerate(layer["inbound_nodes"])
        ]
        while waiting:
            ready = [each for each in waiting if all(need in signals for need in _needs(each[2]))]
            if not ready:
                raise Refused(f"the graph of the model {model.name!r} has no beginning: is the file damaged?")
            for layer, place, node in ready:
                arguments = _resolved(node["args"], signals)
                found = self._call(
                    model.get_layer(layer["name"]), arguments, _resolved(node["kwargs"], signals)
                )
                parts = found if isinstance(found, (list, tuple)) else [found]
                signals |= {(layer["name"], place, index): part for index, part in enumerate(parts)}
            waiting = [each for each in waiting if each not in ready]
        return [signals[place] for place in _places(config["output_layers"])]

    def _call(self, layer: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        if isinstance(layer, keras.Model):
            found = self.network(layer, list(arguments))
            return found[0] if len(found) == 1 else found
        if id(layer) not in self._made:
            self._made[id(layer)] = self._layer(layer)
        given = {name: value for name, value in keywords.items() if value is not None}
        return self._made[id(layer)](*arguments, **given)

    def _layer(self, layer: Any) -> Any:
        kind = getattr(tf_keras.layers, type(layer).__name__, None)
        if kind is None or not type(layer).__module__.startswith("keras."):
            raise Refused(
                f"the layer {layer.name!r} ({type(layer).__name__}) is not one of the older Keras, which the "
                "Model Optimization Toolkit needs: build the model of layers that both have, or with tf_keras"
            )
        name = layer.name if layer.name not in self.twins else f"{layer.name}_{len(self.twins)}"
        try:
            made = kind(**(_config(layer, kind) | {"name": name}))
        except (TypeError, ValueError) as error:
            raise Refused(
                f"the layer {layer.name!r} cannot be built in the older Keras: {one_line(error)}"
            ) from error
        self.twins[name] = layer
        return made


def _config(layer: Any, kind: Any) -> dict[str, Any]:
    taken = _ALWAYS.union(*(inspect.signature(base.__init__).parameters for base in kind.__mro__[:2]))
    config = {
        name: value
        for name, value in layer.get_config().items()
        if name in taken and not name.endswith(_LEFT_BEHIND)
    }
    config["dtype"] = layer.compute_dtype
    for name, value in config.items():
        if isinstance(value, Mapping) and "class_name" in value:
            raise Refused(
                f"the layer {layer.name!r} has {value['class_name']} as its {name}, which the older Keras "
                "cannot take over: build the model with tf_keras"
            )
    return config


def _places(said: Sequence[Any]) -> list[tuple[str, int, int]]:
    """Layer, node and tensor; a single one stands without a list around it."""
    several = [said] if said and isinstance(said[0], str) else said
    return [(str(name), int(node), int(tensor)) for name, node, tensor in several]


def _needs(node: Any) -> list[tuple[str, int, int]]:
    if isinstance(node, Mapping):
        if node.get("class_name") == "__keras_tensor__":
            return _places(node["config"]["keras_history"])
        return [need for value in node.values() for need in _needs(value)]
    if isinstance(node, (list, tuple)):
        return [need for value in node for need in _needs(value)]
    return []


def _resolved(said: Any, signals: Mapping[tuple[str, int, int], Any]) -> Any:
    if isinstance(said, Mapping):
        if said.get("class_name") == "__keras_tensor__":
            return signals[_places(said["config"]["keras_history"])[0]]
        return {name: _resolved(value, signals) for name, value in said.items()}
    if isinstance(said, (list, tuple)):
        return [_resolved(value, signals) for value in said]
    return said
