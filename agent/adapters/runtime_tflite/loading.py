"""From the bytes of a model to an interpreter with its delegates."""

import contextlib
from typing import Any, Final

from agent.adapters.runtime_tflite import xnnpack
from agent.adapters.runtime_tflite.model import TfliteModel, delegated
from agent.adapters.runtime_tflite.native import call, stderr_silenced
from agent.adapters.runtime_tflite.signatures import TfliteCallables
from agent.core.edgetpu import placement, symptoms
from agent.core.tflite import flatmodel
from agent.core.tflite.flatmodel import Arithmetic, ModelFacts
from agent.ports.accelerator import Delegate, OpenDelegate
from agent.ports.runtime import Model
from agent.wire.errors import DelegateUnavailable, Malformed, ModelUnloadable
from agent.wire.ipc import EdgeTpu

_INTEGER: Final = frozenset({Arithmetic.INTEGER, Arithmetic.MIXED})


class _Handed:
    """What `Interpreter()` takes as a delegate.

    The interpreter drops it after it has let go of its own native side, so that the native delegate outlives
    that.
    """

    def __init__(self, native: Delegate) -> None:
        self._native = native

    def _get_native_delegate_pointer(self) -> int:
        return self._native.pointer


class TfliteRuntime:
    """`module` is the interpreter module of one of the two packages."""

    def __init__(self, module: Any, name: str, open_delegate: OpenDelegate | None, *, by_hand: bool) -> None:
        self.name = name
        self._module = module
        self._open_delegate = open_delegate
        self._by_hand = by_hand

    def load(self, content: bytes, *, threads: int, edgetpu: EdgeTpu | None = None) -> Model:
        try:
            facts = flatmodel.examine(content)
        except Malformed as error:
            raise ModelUnloadable(str(error)) from error
        if facts.edgetpu:
            return self._compiled(content, facts, threads, edgetpu)
        with stderr_silenced():
            interpreter, xnnpack_missing = self._interpreter(content, facts, threads)
        name = "xnnpack" if delegated(interpreter) else "cpu"
        reason = _reason(name, facts, threads, xnnpack_missing=xnnpack_missing)
        return TfliteModel(interpreter, facts, runtime=self.name, delegate=name, reason=reason)

    def open(self, content: bytes, *, threads: int, edgetpu: EdgeTpu | None = None) -> TfliteCallables:
        """A model of any kind, to be called by signature; its inputs may still be given other sizes.

        Raises:
            ModelUnloadable: with the runtime's reason.
        """
        try:
            facts = flatmodel.examine(content)
        except Malformed as error:
            raise ModelUnloadable(str(error)) from error
        options: dict[str, Any] = {"model_content": content, "num_threads": threads}
        if facts.edgetpu:
            options["experimental_delegates"] = [_Handed(self._opened(edgetpu))]
        with contextlib.nullcontext() if facts.edgetpu else stderr_silenced():
            interpreter = call("load it", lambda: self._module.Interpreter(**options))
            return TfliteCallables(interpreter, runtime=self.name)

    def _opened(self, wanted: EdgeTpu | None) -> Delegate:
        if wanted is None:
            raise ModelUnloadable(
                "compiled for an Edge TPU, and no CPU can run it: use the variant that is not compiled"
            )
        if self._open_delegate is None:
            raise DelegateUnavailable("compiled for an Edge TPU, and this program opens none")
        return self._open_delegate(wanted)

    def _compiled(self, content: bytes, facts: ModelFacts, threads: int, wanted: EdgeTpu | None) -> Model:
        native = self._opened(wanted)
        try:
            # Standard error stays open: the last word of libedgetpu before it aborts goes there.
            interpreter = self._allocated(
                model_content=content, num_threads=threads, experimental_delegates=[_Handed(native)]
            )
        except ModelUnloadable as error:
            trouble = symptoms.refusal(str(error), native.version, self.name)
            raise error if trouble is None else DelegateUnavailable(str(trouble)) from error
        reason = placement.taken(facts, native.device, native.version)
        return TfliteModel(interpreter, facts, runtime=self.name, delegate="edgetpu", reason=reason)

    def _interpreter(self, content: bytes, facts: ModelFacts, threads: int) -> tuple[Any, bool]:
        """An interpreter with its tensors, and whether XNNPACK was wanted by hand and not to be had."""
        wanted = self._by_hand and facts.arithmetic in _INTEGER
        made = xnnpack.make(self._module.__package__, threads) if wanted else None
        if made is not None:
            resolvers = self._module.OpResolverType
            with contextlib.suppress(ModelUnloadable):
                return self._allocated(
                    model_content=content,
                    num_threads=threads,
                    experimental_op_resolver_type=resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                    experimental_delegates=[made],
                ), False
        return self._allocated(model_content=content, num_threads=threads), wanted

    def _allocated(self, **options: Any) -> Any:
        interpreter = call("load it", lambda: self._module.Interpreter(**options))
        call("allocate its tensors", interpreter.allocate_tensors)
        return interpreter


def _reason(name: str, facts: ModelFacts, threads: int, *, xnnpack_missing: bool) -> str:
    on = f"{threads} thread{'' if threads == 1 else 's'}"
    what = f"{facts.arithmetic} model, not compiled for an Edge TPU"
    if name == "xnnpack":
        return f"{what}: XNNPACK on {on}"
    if xnnpack_missing:
        return f"{what}, and this tflite-runtime could not attach XNNPACK: its own kernels on {on}"
    return f"{what}, and XNNPACK takes none of its operators: the runtime's own kernels on {on}"
