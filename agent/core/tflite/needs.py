"""Which runtime a model needs: what the converter wrote into it, and the versions of its operators.

The converter's own note is not enough: it is written before quantization, which raises versions, and other
converters write none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.core.tflite import flatops
from agent.core.tflite.flatmodel import Arithmetic, ModelFacts

_LITERT_2_2: Final = "ai-edge-litert 2.2.0"
BEYOND_2_14: Final = {
    "ADD": {6: "2.23.0"},
    "BROADCAST_TO": {4: _LITERT_2_2},
    "CAST": {6: "2.15.0", 7: "2.17.0", 8: "2.21.0", 9: _LITERT_2_2},
    "CONCATENATION": {5: "2.21.0", 6: _LITERT_2_2, 7: _LITERT_2_2},
    "CONV_2D": {8: "2.15.0"},
    "COS": {2: _LITERT_2_2},
    "DEQUANTIZE": {6: "2.18.0", 7: "2.21.0", 8: "2.21.0", 9: _LITERT_2_2},
    "DILATE": {1: "2.15.0"},
    "DYNAMIC_UPDATE_SLICE": {2: "2.17.0", 3: "2.19.0", 4: "2.20.0", 5: "2.21.0", 6: "2.22.0"},
    "EMBEDDING_LOOKUP": {4: "2.18.0", 5: "2.21.0"},
    "EQUAL": {5: "2.21.0"},
    "FILL": {5: _LITERT_2_2},
    "FULLY_CONNECTED": {11: "2.15.0", 12: "2.17.0", 13: "2.18.0", 14: "2.21.0"},
    "GATHER": {7: "2.15.0", 8: _LITERT_2_2},
    "GATHER_ND": {5: "2.16.0", 6: _LITERT_2_2},
    "GELU": {3: _LITERT_2_2},
    "LOG": {2: "2.15.0"},
    "MUL": {8: "2.23.0"},
    "NOT_EQUAL": {4: "2.21.0"},
    "PACK": {5: _LITERT_2_2},
    "PAD": {5: "2.20.0", 6: _LITERT_2_2},
    "PADV2": {5: "2.20.0", 6: _LITERT_2_2},
    "QUANTIZE": {4: "2.21.0", 5: "2.21.0", 6: "2.21.0"},
    "REDUCE_WINDOW": {1: "2.15.0"},
    "REVERSE_V2": {4: _LITERT_2_2},
    "RSQRT": {3: "2.15.0"},
    "SIN": {2: _LITERT_2_2},
    "SLICE": {7: "2.21.0", 8: _LITERT_2_2},
    "SOFTMAX": {4: _LITERT_2_2},
    "SPLIT": {5: _LITERT_2_2},
    "SPLIT_V": {3: _LITERT_2_2},
    "SQRT": {2: "2.21.0"},
    "STABLEHLO_ADD": {1: "2.16.0"},
    "STABLEHLO_AND": {1: "2.17.0"},
    "STABLEHLO_CASE": {1: "2.17.0"},
    "STABLEHLO_COMPOSITE": {1: "2.17.0"},
    "STABLEHLO_GATHER": {1: "2.16.0"},
    "STABLEHLO_MAXIMUM": {1: "2.16.0"},
    "STABLEHLO_MINIMUM": {1: "2.16.0"},
    "STABLEHLO_MULTIPLY": {1: "2.16.0"},
    "STABLEHLO_PAD": {1: "2.16.0"},
    "STABLEHLO_REDUCE_WINDOW": {1: "2.16.0"},
    "STABLEHLO_RNG_BIT_GENERATOR": {1: "2.15.0"},
    "STABLEHLO_SCATTER": {1: "2.15.0"},
    "STABLEHLO_SHIFT_LEFT": {1: "2.17.0"},
    "TRANSPOSE": {7: "2.17.0", 8: "2.22.0", 9: _LITERT_2_2},
    "TRANSPOSE_CONV": {5: "2.15.0"},
    "UNPACK": {5: "2.21.0", 6: _LITERT_2_2},
}
"""Operator versions that tflite-runtime 2.14 lacks, and the first runtime that has each.

Which ones exist was asked of the wheels themselves: tflite-runtime 2.14.0 and ai-edge-litert 1.0.1 to 2.3.0
were each offered every version of every operator. The TensorFlow releases are those of
tensorflow/compiler/mlir/lite/tools/versioning/runtime_version.cc where it names one, save that LiteRT has
DEQUANTIZE 8 and UNPACK 5 with 2.21 already, and TRANSPOSE 7 not before 2.17.
"""
_TYPES: Final = {"int4": "2.15.0", "bfloat16": _LITERT_2_2, "int2": _LITERT_2_2, "uint4": _LITERT_2_2}
"""tflite-runtime 2.14 computes some operators of int4 rightly and dies of others; it knows no type after
that."""
_SIXTEEN: Final = {"GELU": _LITERT_2_2, "TILE": _LITERT_2_2}
"""Operators whose version does not rise with tensors of int16, which tflite-runtime 2.14 and ai-edge-litert
1.0.1 refuse when they compute them, and 2.2.0 does not.
"""
_HIGHEST: Final = {name: max(versions) for name, versions in BEYOND_2_14.items()}
_COMMON: Final = "2.14.0"
"""What the oldest runtime that Shoal installs has."""
_BARE: Final = re.compile(r"\d+(\.\d+)*")


@dataclass(frozen=True, slots=True)
class Need:
    runtime: str
    """A TensorFlow version, or name and version of one runtime (see `agent.core.serving.delegate.runs`)."""
    why: str
    """Such as `FULLY_CONNECTED version 12`; empty where only the converter's note says so."""

    def in_words(self) -> str:
        why = f", for {self.why}" if self.why else ""
        return f"tflite-runtime 2.14 does not run it, devices need {self.runtime} or newer{why}"


def need(facts: ModelFacts) -> Need | None:
    """The oldest runtime that has all that the model uses; None where every runtime of Shoal has."""
    noted = facts.minimum_runtime or ""
    needs = [*_of_operators(facts), *_of_types(facts)]
    if _BARE.fullmatch(noted):
        needs.append(Need(noted, ""))
    newest = max(needs, key=lambda each: (_order(each.runtime), bool(each.why)), default=None)
    return None if newest is None or _order(newest.runtime) <= _order(_COMMON) else newest


def unknown(facts: ModelFacts) -> tuple[str, ...]:
    """Operator versions that no runtime had when this was written."""
    return tuple(
        f"{each.name} version {each.version}"
        for each in facts.operator_versions
        if each.version > _HIGHEST.get(each.name, each.version) or flatops.is_unnamed(each.name)
    )


def _of_operators(facts: ModelFacts) -> Iterator[Need]:
    for each in facts.operator_versions:
        runtime = BEYOND_2_14.get(each.name, {}).get(each.version)
        if runtime is not None:
            yield Need(runtime, f"{each.name} version {each.version}")


def _of_types(facts: ModelFacts) -> Iterator[Need]:
    for name in sorted(facts.types.intersection(_TYPES)):
        yield Need(_TYPES[name], f"{name} tensors")
    if facts.arithmetic is Arithmetic.INT16X8:
        for name in sorted(facts.operator_names.intersection(_SIXTEEN)):
            yield Need(_SIXTEEN[name], f"{name} of int16")


def _order(runtime: str) -> tuple[int, tuple[int, ...]]:
    """What only a LiteRT has comes after all that has a TensorFlow version."""
    name, _, version = runtime.rpartition(" ")
    return len(name), tuple(int(number) for number in version.split("."))
