"""Carries out `Describe`: the converter itself says what can be done with a source."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from agent.core.tflite import flatmodel
from agent.wire.errors import Malformed
from deploy.assemble.factory import timing
from deploy.core.factory.advice import choosing
from deploy.core.factory.advice.words import Describe, Described, Tried
from deploy.core.factory.conversion import allowing, noise
from deploy.core.factory.conversion.words import Convert, Quantize, Signature, TensorForm
from deploy.core.factory.words import Progress, SourceKind
from deploy.core.refusal import Refused
from deploy.factory.parent import Parent, Samples
from deploy.factory.samples import representative
from deploy.factory.sources import opening
from deploy.ports.factory import OnProgress

_ANY = ("any",)
"""What may be left in, where only to look at it."""
_BUILT_BY_MODE = frozenset({SourceKind.KERAS, SourceKind.FUNCTION})


def carry_out(order: Describe, tell: OnProgress) -> Described:
    """
    Raises:
        Refused: the source cannot be opened, or representative data is not what it takes.
    """
    as_it_is = _quantized(order)
    if as_it_is is not None:
        return as_it_is
    tell(Progress(what="opening the source"))
    plain = Convert(
        source=order.source,
        quantize=Quantize.NONE,
        out="",
        shapes=order.shapes,
        look=order.look,
        edgetpu=order.edgetpu,
    )
    parent = opening.open_parent(order.source, plain)
    gathered = (
        representative.gather(order.representative, parent.signatures, order.look)
        if order.representative
        else None
    )
    samples = gathered.samples if gathered else noise.of_each(parent.signatures)
    attempt = _Attempt(parent, plain, samples, Path(order.folder), tell)
    tried = list(attempt.modes(order.modes))
    return Described(
        signatures=parent.signatures,
        samples=gathered.calibration.samples if gathered else 0,
        tried=tuple(tried),
        foreign=attempt.foreign() if tried[0].refusal else "",
        remarks=gathered.remarks if gathered else (),
    )


class _Attempt:
    def __init__(
        self, parent: Parent, plain: Convert, samples: Mapping[str, Samples], folder: Path, tell: OnProgress
    ) -> None:
        self._parent = parent
        self._calibrated: Parent | None = None
        self._plain = plain
        self._samples = samples
        self._folder = folder
        self._tell = tell

    def modes(self, modes: Sequence[Quantize]) -> Iterator[Tried]:
        """A source that is refused in float is so in every mode, for the same reason; where full integer is
        refused, the same with float operators shows how far it goes.
        """
        for mode in modes:
            tried = self._mode(mode)
            yield tried
            if tried.refusal and mode is Quantize.NONE:
                return
            if tried.refusal and mode is Quantize.INT8:
                yield self._mode(Quantize.INT8_FLOAT_IO)

    def _mode(self, mode: Quantize) -> Tried:
        self._tell(Progress(what=choosing.trying(mode)))
        order = replace(self._plain, quantize=mode)
        try:
            parent = self._parent_for(order)
            content = parent.convert(order, self._samples if mode.calibrated else {}).content
            allowing.examine(order, content)
        except (Refused, Malformed) as error:
            return Tried(mode=mode, refusal=str(error))
        file = self._folder / f"{mode}.tflite"
        file.write_bytes(content)
        return Tried(mode=mode, file=str(file), timed=timing.fastest(content))

    def _parent_for(self, order: Convert) -> Parent:
        """Opened anew for the modes with calibration where that decides how recurrent layers are built."""
        if not order.quantize.calibrated or order.source.kind not in _BUILT_BY_MODE:
            return self._parent
        if self._calibrated is None:
            self._calibrated = opening.open_parent(order.source, order)
        return self._calibrated

    def foreign(self) -> str:
        """The float model with whatever is outside the built-in set, to name it with its layers."""
        self._tell(Progress(what="what is outside the built-in operators"))
        try:
            made = self._parent.convert(replace(self._plain, select_tf=_ANY, custom=_ANY), {})
        except Refused:
            return ""
        file = self._folder / "foreign.tflite"
        file.write_bytes(made.content)
        return str(file)


def _quantized(order: Describe) -> Described | None:
    """A .tflite file that is quantized already can only be looked at; None: it is something else."""
    if order.source.kind is not SourceKind.TFLITE:
        return None
    try:
        content = Path(order.source.place).read_bytes()
        facts = flatmodel.examine(content)
    except (OSError, Malformed) as error:
        raise Refused(f"{order.source.place}: {error}") from error
    mode = choosing.mode_of(facts)
    if mode is Quantize.NONE:
        return None
    forms = [
        tuple(TensorForm(name=each.name, shape=each.shape, dtype=each.dtype) for each in tensors)
        for tensors in (facts.inputs, facts.outputs)
    ]
    return Described(
        signatures=(Signature(name="", inputs=forms[0], outputs=forms[1]),),
        samples=0,
        quantized=True,
        tried=(Tried(mode=mode, file=order.source.place, timed=timing.fastest(content)),),
    )
