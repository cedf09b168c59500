"""What `edgetpu_compiler` prints, read.

Its words are not specified. Sources: the compiler's page (coral.ai/docs/edgetpu/compiler) and the reports of
versions 2 to 16 that are quoted in google-coral/edgetpu issues 4, 34, 168, 189, 324, 427, 439, 518, 651, 671,
829, 879.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from deploy.core.factory import died

MAPPED: Final = "Mapped to Edge TPU"
_UNITS: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_VERSION: Final = re.compile(r"Edge TPU Compiler version (\S+)")
_TOOK: Final = re.compile(r"Models? compiled successfully in (\d+) ms")
_FIELD: Final = re.compile(r"^\s*([A-Z][A-Za-z -]+?):\s*(\S.*?)\s*$")
_OPERATOR: Final = re.compile(r"^\s*([A-Za-z][\w-]*)\s+(\d+)\s+(\S.*?)\s*$")
_HEADINGS: Final = re.compile(r"^\s*Operator\s+Count\s+Status\s*$")


class OperatorStatus(Struct, frozen=True, kw_only=True):
    """So many operators of a kind, all for the same reason where they are."""

    operator: str
    count: int
    status: str
    """In the compiler's words."""

    @property
    def mapped(self) -> bool:
        return self.status == MAPPED


class Part(Struct, frozen=True, kw_only=True):
    """One compiled file: a model, or a segment of one."""

    source: str
    output: str
    cached_bytes: int
    """Parameters that stay on the chip."""
    left_bytes: int
    """Of the chip's memory for parameters, still free."""
    streamed_bytes: int
    """Parameters that are sent to the Edge TPU at each inference."""
    subgraphs: int
    total: int
    """Operators of the source."""
    operators: tuple[OperatorStatus, ...]

    @property
    def mapped(self) -> int:
        return sum(each.count for each in self.operators if each.mapped)


class Report(Struct, frozen=True, kw_only=True):
    compiler: str
    """Version; empty where it did not say."""
    took_ms: int
    parts: tuple[Part, ...]


def read(printed: str) -> Report:
    """What was compiled; no parts where nothing was.

    Args:
        printed: its standard output and error, run with `--show_operations`.
    """
    lines = printed.splitlines()
    version, took = _VERSION.search(printed), _TOOK.findall(printed)
    return Report(
        compiler=version[1] if version else "",
        took_ms=sum(map(int, took)),
        parts=tuple(map(_part, _blocks(lines))) if took else (),
    )


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    """The lines about each model: a block begins with the name of its input."""
    blocks: list[list[str]] = []
    for line in lines:
        if line.lstrip().startswith("Input model:"):
            blocks.append([])
        if blocks:
            blocks[-1].append(line)
    return blocks


def _part(lines: Sequence[str]) -> Part:
    fields = {found[1]: found[2] for found in map(_FIELD.match, lines) if found}
    return Part(
        source=fields.get("Input model", ""),
        output=fields.get("Output model", ""),
        cached_bytes=_bytes(fields.get("On-chip memory used for caching model parameters", "")),
        left_bytes=_bytes(fields.get("On-chip memory remaining for caching model parameters", "")),
        streamed_bytes=_bytes(fields.get("Off-chip memory used for streaming uncached model parameters", "")),
        subgraphs=_integer(fields.get("Number of Edge TPU subgraphs", "")),
        total=_integer(fields.get("Total number of operations", "")),
        operators=operators(lines),
    )


def operators(lines: Iterable[str]) -> tuple[OperatorStatus, ...]:
    """The table of operators; it is the same in the log file beside the compiled model."""
    found: list[OperatorStatus] = []
    within = False
    for line in lines:
        row = _OPERATOR.match(line) if within else None
        if row:
            found.append(OperatorStatus(operator=row[1], count=int(row[2]), status=row[3]))
        within = within or _HEADINGS.match(line) is not None
    return tuple(found)


def _bytes(said: str) -> int:
    """Such as 4.04MiB; 0 where it is no size."""
    found = re.fullmatch(r"([\d.]+)\s*([KMG]?i?B)", said)
    return round(float(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else 0


def _integer(said: str) -> int:
    return int(said) if said.isdecimal() else 0


_FAULTS: Final = {
    r"Searching for valid delegate": (
        "it looked for the largest part that it can take, and found none: try a smaller input"
    ),
    r"large activation tensors": (
        "the tensors between its layers are too large for the chip: try a smaller input, or "
        "--search-delegate, which leaves to the CPU what does not fit"
    ),
    r"Didn't find op for builtin opcode '?(\w+)'? version '?(\d+)'?": (
        "the compiler, built in 2021, does not know {0} of version {1}: convert the model with an older "
        "TensorFlow, or without what brought that version in"
    ),
    r"unresolved custom op: ([\w-]+)": (
        "the compiler cannot load the custom operator {0}: leave it out, and do on the device what it does"
    ),
    r"dynamic-sized tensors": (
        "a tensor's size is known only when the model runs: fix the batch and every other open size of its "
        "inputs before converting"
    ),
    r"Model not quantized": (
        "the compiler says that it is not quantized: convert it with --quantize int8 or uint8"
    ),
    r"Model could not be parsed|could not parse": (
        "the compiler cannot parse it: a converter newer than the compiler, which dates from 2021, wrote it"
    ),
    r"timed out|[Tt]imeout reached|did not complete within timeout": (
        "it took longer than the time allowed: give it more with --timeout-s, or a smaller model"
    ),
    r"Internal compiler error": (
        "the compiler failed inside: its makers name inputs and layers that are too large as the usual "
        "cause, try a smaller input, or --search-delegate"
    ),
    r"failed in Tflite interpreter": (
        "the compiler's own interpreter, of 2021, cannot run it: convert it with an older TensorFlow, or "
        "leave out its newest operators"
    ),
    r"Compilation failed": (
        "the compiler gives no reason: --search-delegate lets it look for the largest part that it can take"
    ),
}
"""What it prints, the most telling first, and what that means."""
_CHATTER: Final = re.compile(
    r"Edge TPU Compiler version|Started a compilation|Compilation child process|^\s*$"
)


def failure(printed: str, status: int) -> str:
    """Why nothing was compiled and what to do, as the end of a sentence.

    Args:
        printed: its standard output and error.
        status: its exit status, below zero the number of a signal.
    """
    for pattern, words in _FAULTS.items():
        found = re.search(pattern, printed)
        if found:
            return words.format(*found.groups())
    last = next((line.strip() for line in reversed(printed.splitlines()) if not _CHATTER.search(line)), "")
    said = f"its last words: {last[:200]}" if last else "it said nothing"
    ended = f"ended with status {status}" if status >= 0 else f"died of {died.signal_name(-status)}"
    return f"the compiler {ended}; {said}"


_REASONS: Final = {
    "More than one subgraph is not supported": "after the first operator that stays on the CPU",
    "Operation not supported": "not an operator of the Edge TPU",
    "Operation version not supported": "a newer version of the operator than the compiler knows",
    "Operation is working on an unsupported data type": "not int8 or uint8",
    "Operation is otherwise supported, but not mapped due to some unspecified limitation": (
        "supported, but not in this form: often too large, or the QUANTIZE behind a float input"
    ),
    "Filter, bias, or other param is not constant at compile-time": "its weights are computed while it runs",
    "For example, a fully-connected or softmax layer with 2D output": "its output has two dimensions",
}
_RANK: Final = "Tensor has unsupported rank"


def reason(status: str) -> str:
    """Why operators stay on the CPU, in fewer and clearer words where they are known."""
    if status.startswith(_RANK):
        return "more than the three innermost dimensions are larger than 1"
    return _REASONS.get(status, status)
