"""Every tensor of a quantized model beside its reference: the factory's child carries this out."""

from collections.abc import Sequence
from pathlib import Path

from deploy.adapters import desk
from deploy.adapters.every_tensor import EveryTensor, Layer
from deploy.assemble.factory.desk_models import Showing, open_candidate
from deploy.core.factory.evaluation import layers
from deploy.core.factory.evaluation.layers import Sum
from deploy.core.factory.evaluation.seen import Candidate, Compare, Compared, TensorError
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from deploy.ports.factory import OnProgress


def carry_out(order: Compare, tell: OnProgress) -> Compared:
    """
    Raises:
        Refused: the files are not two forms of one network, or cannot be loaded.
    """
    # Loading both as devices do says what is wrong with a file in the device's words.
    ready = [open_candidate(each, 1, tell) for each in (order.reference, order.quantized)]
    pair = [_every(each, tell) for each in (order.reference, order.quantized)]
    reference, quantized = pair
    matched = layers.match(reference.layers, quantized.layers)
    sums = [Sum() for _ in matched.places]
    showing = Showing(order.shown)
    for picture, _ in showing.pictures():
        for model, tensors in zip(ready, pair, strict=True):
            tensors.run(model.tensor(picture))
        for (here, there), found in zip(matched.places, sums, strict=True):
            index = quantized.layers[there].index
            found.add(
                reference.real(reference.layers[here].index), quantized.real(index), quantized.range(index)
            )
    if not showing.used:
        raise Refused(f"no picture could be read: {showing.passed_over[0]}")
    return Compared(
        matched_by=matched.by,
        unmatched=len(reference.layers) - len(matched.places),
        pictures=len(showing.used),
        tensors=tuple(
            _error(reference.layers[here], quantized.layers[there], found, reference.layers)
            for (here, there), found in zip(matched.places, sums, strict=True)
        ),
    )


def _every(candidate: Candidate, tell: OnProgress) -> EveryTensor:
    path = Path(candidate.place)
    tell(Progress(what=f"running {path.name}"))
    return EveryTensor(path.name, desk.read(path))


def _error(layer: Layer, twin: Layer, found: Sum, all_layers: Sequence[Layer]) -> TensorError:
    names = {each.index: each.name for each in all_layers}
    return TensorError(
        name=layer.name,
        operator=layer.operator,
        place=layer.place,
        sources=tuple(names[source] for source in layer.sources if source in names),
        error=found.error,
        sqnr_db=found.sqnr_db,
        clipped=found.clipped / found.count,
        per_tensor_weights=twin.one_scale,
    )
