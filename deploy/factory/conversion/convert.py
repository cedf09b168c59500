"""Carries out `Convert`: open, gather, convert, check, compare, and only then write."""

from collections.abc import Iterator
from pathlib import Path

from agent.wire.errors import Malformed
from deploy.core.factory.conversion import agreeing, allowing, noise, shapes
from deploy.core.factory.conversion.words import Agreement, Convert, Converted, Signature
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from deploy.factory.conversion import comparing
from deploy.factory.conversion.comparing import Compared
from deploy.factory.parent import Made, Parent
from deploy.factory.samples import representative
from deploy.factory.samples.representative import Gathered
from deploy.factory.sources import digests, opening
from deploy.ports.factory import OnProgress


def carry_out(order: Convert, tell: OnProgress) -> Converted:
    """
    Raises:
        Refused: it cannot be done as ordered; nothing was written.
    """
    allowing.check(order)
    tell(Progress(what="opening the source"))
    parent = opening.open_parent(order.source, order)
    forms = [form for signature in parent.signatures for form in signature.inputs]
    shapes.check_names(order.shapes, forms)
    gathered = _gathered(parent, order, tell)
    tell(Progress(what=f"converting, {order.quantize}"))
    made = parent.convert(order, gathered.samples if gathered and order.quantize.calibrated else {})
    remarks = [*(gathered.remarks if gathered else ()), *made.remarks, *_examined(order, made)]
    tell(Progress(what="comparing with the float model"))
    compared = comparing.compare(
        parent,
        made.content,
        gathered.samples if gathered else noise.of_each(parent.signatures),
        order.quantize,
        foreign=bool(order.select_tf or order.custom),
    )
    remarks += _judged(order, compared, parent.signatures, by_noise=gathered is None)
    Path(order.out).write_bytes(made.content)
    return Converted(
        converter=made.converter,
        source_digest=digests.of_source(order.source),
        signatures=parent.signatures,
        calibration=gathered.calibration if gathered and order.quantize.calibrated else None,
        agreement=compared.agreement,
        compared_on=compared.on,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _gathered(parent: Parent, order: Convert, tell: OnProgress) -> Gathered | None:
    if not order.representative:
        return None
    tell(Progress(what="reading representative data"))
    return representative.gather(order.representative, parent.signatures, order.look)


def _examined(order: Convert, made: Made) -> tuple[str, ...]:
    try:
        return allowing.examine(order, made.content)
    except Malformed as error:
        raise Refused(f"{made.converter} made a file that is no whole model: {error}") from error


def _judged(
    order: Convert, compared: Compared, signatures: tuple[Signature, ...], *, by_noise: bool
) -> Iterator[str]:
    """Remarks on the comparison.

    Raises:
        Refused: the two differ by more than the mode explains, or no runtime computes it although it should.
    """
    if compared.agreement is None:
        if not (order.select_tf or order.custom):
            raise Refused(f"no runtime at hand runs the converted model: {compared.fault}")
        yield f"it could not be compared with the float model, no runtime at hand runs it: {compared.fault}"
        return
    _check(order, compared.agreement, by_noise=by_noise)
    if by_noise:
        yield (
            f"it was compared with the float model on {compared.agreement.samples} samples of noise "
            f"({shapes.said(form for each in signatures for form in each.inputs)}): --representative says "
            "how they compare on what it will see"
        )


def _check(order: Convert, found: Agreement, *, by_noise: bool) -> None:
    faults = list(agreeing.faults(order.quantize, found, order.accept_difference))
    if faults:
        on = "noise (give --representative)" if by_noise else f"{found.samples} representative samples"
        raise Refused(
            f"the converted model is not the float model: over {on} {' and '.join(faults)}; "
            f"{agreeing.remedy(order.quantize)}, or take it knowingly with --accept-difference SHARE"
        )
