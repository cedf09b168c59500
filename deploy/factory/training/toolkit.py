"""Drives TensorFlow's Model Optimization Toolkit, and does not believe it.

Each technique starts from a copy: the toolkit's wrappers take the layers that they are given. What a
technique promises is counted afterwards; a pruning schedule that is asked too seldom, for one, prunes
nothing and says so nowhere.

Source: tensorflow.org/model_optimization/guide, and its "collaborative optimization": prune, then cluster
with sparsity preserved, then quantize with clusters, sparsity or both preserved.
"""

import re
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import tensorflow_model_optimization as toolkit
import tf_keras
from numpy.typing import NDArray
from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import ClusteringRegistry
from tensorflow_model_optimization.python.core.clustering.keras.experimental import (
    cluster as sparse_clustering,
)
from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

from deploy.core.factory.training.words import LayerWeights, Optimize, Technique
from deploy.core.refusal import Refused
from deploy.factory.training.fitting import Fitting

NAME: Final = f"tensorflow-model-optimization {version('tensorflow-model-optimization')}"
_LOOKS: Final = 50
"""How often a pruning schedule chooses anew which weights are weakest."""
_PRUNING_SHARE: Final = 0.7
"""Of the steps; in the rest the network recovers."""
_SLACK: Final = 0.01
"""By which a layer's sparsity may fall short: whole weights are pruned."""
_UNSUPPORTED: Final = re.compile(r"Layer (\S+?):<class '[\w.]*?(\w+)'> is not supported")

quantization, pruning, clustering = (
    toolkit.quantization.keras,
    toolkit.sparsity.keras,
    toolkit.clustering.keras,
)


def apply(model: Any, fitting: Fitting) -> Any:
    """The model after all the techniques of the order, in the toolkit's order; what was given stays as it is.

    Raises:
        Refused: a layer is not supported, training falls apart, or a technique did not do what it is for.
    """
    done: set[Technique] = set()
    pruned = [layer.name for layer in model.layers if _is_pruned(layer)]
    for technique in Technique:
        if technique in fitting.order.techniques:
            model = _APPLIED[technique](_copy(model), fitting, done)
            done.add(technique)
        if Technique.PRUNE in done:
            _check_sparsity(model, fitting.order, pruned)
    return model


def _is_pruned(layer: Any) -> bool:
    """Whether pruning takes all kernels of the layer; it leaves depthwise ones alone."""
    if not layer.trainable_weights or not PruneRegistry.supports(layer):
        return False
    pruned = PruneRegistry.make_prunable(layer).get_prunable_weights()
    return 0 < len(pruned) == len(_kernels(layer))


def _kernels(layer: Any) -> list[Any]:
    return [weight for weight in layer.trainable_weights if len(weight.shape) > 1]


def _copy(model: Any) -> Any:
    copied = tf_keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    return copied


def _prune(model: Any, fitting: Fitting, _: Collection[Technique]) -> Any:
    _check_supported(model, PruneRegistry.supports, "pruned")
    end = max(1, int(fitting.steps * _PRUNING_SHARE))
    schedule = pruning.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=fitting.order.sparsity,
        begin_step=0,
        end_step=end,
        # Its own default is every 100 steps, and a short training has fewer.
        frequency=max(1, end // _LOOKS),
    )
    wrapped = pruning.prune_low_magnitude(model, pruning_schedule=schedule)
    fitting.fit(wrapped, "pruning", [pruning.UpdatePruningStep()])
    return pruning.strip_pruning(wrapped)


def _cluster(model: Any, fitting: Fitting, done: Collection[Technique]) -> Any:
    _check_supported(model, ClusteringRegistry.supports, "clustered")
    clusters, sparse = fitting.order.clusters, Technique.PRUNE in done
    kernels = {layer.name: _clusterable(layer) for layer in model.layers}
    learning = {layer.name: layer.trainable for layer in model.layers}
    few = {name for name, own in kernels.items() if any(np.count_nonzero(each) <= clusters for each in own)}

    def shared(layer: Any) -> Any:
        kept = layer.name in few
        return _kept(layer, sparse=sparse) if kept else _shared(layer, clusters, sparse=sparse)

    wrapped = tf_keras.models.clone_model(model, clone_function=shared)
    fitting.fit(wrapped, "clustering")
    stripped = clustering.strip_clustering(wrapped)
    for layer in stripped.layers:
        layer.trainable = learning[layer.name]
    whole = [layer.name for layer in model.layers if 0 < len(kernels[layer.name]) == len(_kernels(layer))]
    _check_clusters(stripped, fitting.order, [name for name in whole if name not in few])
    return stripped


def _kept(layer: Any, *, sparse: bool) -> Any:
    """As it is: so few weights share few values anyway, and the toolkit dies of them."""
    # Nothing else would keep its zeros.
    layer.trainable = layer.trainable and not sparse
    return layer


def _shared(layer: Any, clusters: int, *, sparse: bool) -> Any:
    return sparse_clustering.cluster_weights(
        layer,
        number_of_clusters=clusters,
        cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS,
        preserve_sparsity=sparse,
    )


def _clusterable(layer: Any) -> list[NDArray[np.floating[Any]]]:
    """The kernels that clustering takes; of depthwise convolutions it takes none."""
    if not layer.trainable_weights:
        return []
    return [
        weight.numpy() for _, weight in ClusteringRegistry.make_clusterable(layer).get_clusterable_weights()
    ]


def _quantize(model: Any, fitting: Fitting, done: Collection[Technique]) -> Any:
    trained = _quantized(_copy(model), _preserving(done))
    fitting.fit(trained, "quantization-aware training")
    plain = _quantized(model, None)
    _take_over(plain, trained)
    return plain


_APPLIED: Final[Mapping[Technique, Callable[[Any, Fitting, Collection[Technique]], Any]]] = {
    Technique.PRUNE: _prune,
    Technique.CLUSTER: _cluster,
    Technique.QAT: _quantize,
}


def _quantized(model: Any, scheme: Any) -> Any:
    try:
        annotated = quantization.quantize_annotate_model(model)
        return (
            quantization.quantize_apply(annotated, scheme)
            if scheme
            else quantization.quantize_apply(annotated)
        )
    except (ValueError, RuntimeError, NotImplementedError) as error:
        found = _UNSUPPORTED.search(str(error))
        what = (
            f"the layer {found[1]!r} ({found[2]})"
            if found
            else f"the model ({str(error).splitlines()[0][:200]})"
        )
        raise Refused(
            f"{what} cannot be trained quantization-aware by {NAME}: leave qat out and quantize after "
            "training, or build the model of other layers"
        ) from error


def _preserving(done: Collection[Technique]) -> Any:
    combined = toolkit.experimental.combine
    if Technique.CLUSTER in done:
        return combined.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=Technique.PRUNE in done)
    return combined.Default8BitPrunePreserveQuantizeScheme() if Technique.PRUNE in done else None


def _take_over(plain: Any, trained: Any) -> None:
    """Weights and ranges, without what only preserved them in training and no file can hold."""
    for to, of in zip(plain.layers, trained.layers, strict=True):
        if len(to.weights) == len(of.weights):
            to.set_weights(of.get_weights())
        else:
            by_name = {_short(weight): weight.numpy() for weight in of.weights}
            to.set_weights([by_name[_short(weight)] for weight in to.weights])


def _short(weight: Any) -> str:
    return str(weight.name).rpartition("/")[2].partition(":")[0]


def _check_supported(model: Any, supports: Callable[[Any], bool], done: str) -> None:
    for layer in model.layers:
        if not isinstance(layer, tf_keras.layers.InputLayer) and not supports(layer):
            raise Refused(
                f"the layer {layer.name!r} ({type(layer).__name__}) cannot be {done} by {NAME}: choose "
                "another --technique, or build the model of other layers"
            )


def _check_sparsity(model: Any, order: Optimize, pruned: Collection[str]) -> None:
    for found in weights(model):
        short = found.weights * (order.sparsity - _SLACK) - found.zeros
        if found.name in pruned and short > 1:
            raise Refused(
                f"the layer {found.name!r} has {found.zeros / found.weights:.1%} zeros after training, "
                f"{order.sparsity:.0%} were asked for: train for more --epochs"
            )


def _check_clusters(model: Any, order: Optimize, clustered: Collection[str]) -> None:
    for found in weights(model):
        if found.name in clustered and found.values > order.clusters:
            raise Refused(
                f"clustering left the layer {found.name!r} with {found.values} values, {order.clusters} were "
                "asked for: train for more --epochs"
            )


def weights(model: Any) -> tuple[LayerWeights, ...]:
    """Of each layer that has kernels."""
    kernels = {
        layer.name: [w.numpy() for w in layer.trainable_weights if len(w.shape) > 1] for layer in model.layers
    }
    return tuple(
        LayerWeights(
            name=name.removeprefix("quant_"),
            weights=sum(kernel.size for kernel in own),
            zeros=sum(int((kernel == 0).sum()) for kernel in own),
            values=max(np.unique(kernel).size for kernel in own),
        )
        for name, own in kernels.items()
        if own
    )
