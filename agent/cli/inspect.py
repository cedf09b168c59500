"""`shoal-agent inspect`: what a .tflite file says about itself, and what would compute it here."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.assemble.desk.desk import Load, Loaded, Refused
from agent.cli import native
from agent.cli.classify import add_edgetpu, add_runtime, edgetpu
from agent.cli.text import path, printable
from agent.core.inference import contract, labels
from agent.core.tflite import flatmodel, needs
from agent.core.tflite.flatmodel import ModelFacts, TensorFacts
from agent.wire.documents import Normalization, OutputContract
from agent.wire.errors import Malformed

_DESCRIPTION = """\
Show what a .tflite file says about itself: tensors, quantization, operators, labels, metadata, whether it is
compiled for an Edge TPU; and what would compute it on this host. The file is read without a runtime; then a
child process loads it, so a file that crashes a runtime is harmless here."""

_EPILOG = """\
examples:
  shoal-agent inspect mobilenet_v2_1.0_224_quant.tflite
  shoal-agent inspect birds.tflite --json | jq '.facts.operators'

see also: shoal-agent classify, which runs it over pictures"""

_SHOWN_OPERATORS = 6
_NOT_ASKED = "compiled for an Edge TPU: no CPU can run it; --edgetpu tries the one that is there"


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a model; `delegate` is None where nothing here can compute it."""

    facts: ModelFacts
    labels: int | None
    delegate: str | None
    delegate_reason: str
    runtime: str | None


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "inspect",
        help="show what a model file contains, and what would compute it here",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("model", type=path, metavar="MODEL", help="the .tflite file")
    add_runtime(parser)
    add_edgetpu(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document, for programs")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    model = arguments.model
    job = Load(model=model, runtime=arguments.runtime, threads=arguments.threads, edgetpu=edgetpu(arguments))
    found = _examine(job)
    if arguments.json:
        print(json.dumps({"model": model, **_fields(found)}, indent=2))
        return 0
    print(f"{printable(Path(model).name)}: {_headline(found.facts)}")
    rows = [(name, text) for name, text in _rows(found) if text]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"  {name:{width}}  {printable(text)}")
    return 0


def _examine(job: Load) -> Findings:
    """
    Raises:
        Malformed: the file cannot be read, or is no whole TFLite model.
    """
    try:
        content = Path(job.model).read_bytes()
    except OSError as error:
        raise Malformed(f"{job.model}: {error.strerror}") from error
    try:
        facts = flatmodel.examine(content)
        names = labels.embedded(content, facts)
    except Malformed as error:
        raise Malformed(f"{job.model}: {error}") from error
    count = None if names is None else len(names)
    if facts.edgetpu and job.edgetpu is None:
        return Findings(facts, count, None, _NOT_ASKED, None)
    match native.load(job):
        case Loaded(runtime=runtime, delegate=name, delegate_reason=reason):
            return Findings(facts, count, name, reason, runtime)
        case Refused(detail=detail):
            return Findings(facts, count, None, detail, None)


def _fields(found: Findings) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(found)
    return {"edgetpu": found.facts.edgetpu, **fields}


def _headline(facts: ModelFacts) -> str:
    target = "compiled for an Edge TPU" if facts.edgetpu else "not compiled for an Edge TPU"
    return f"{_size(facts.length_bytes)}, {facts.arithmetic}, {target}"


def _size(length: int) -> str:
    return f"{length / 2**20:.1f} MiB" if length >= 2**20 else f"{length / 2**10:.1f} KiB"


def _rows(found: Findings) -> Iterator[tuple[str, str]]:
    facts, card = found.facts, found.facts.card
    yield from (("input", _tensor(tensor)) for tensor in facts.inputs)
    yield from (("output", _tensor(tensor)) for tensor in facts.outputs)
    yield "scores", _scores(facts)
    yield "operators", _operators(facts)
    yield "graphs", f"{facts.subgraphs}" if facts.subgraphs > 1 else ""
    yield "labels", _labels(found)
    yield "signatures", ", ".join(facts.signatures)
    yield "metadata", ", ".join(facts.metadata)
    if card is not None:
        yield "name", " ".join(filter(None, (card.name, card.version)))
        yield "about", card.description
        yield "author", card.author
        yield "licence", card.licence
        yield "declares", _normalization(card.normalization)
    yield "converter", facts.description
    yield "needs", _needs(facts)
    yield "files", ", ".join(facts.files)
    yield "here", _here(found)


def _needs(facts: ModelFacts) -> str:
    need = needs.need(facts)
    if need is None:
        return f"a runtime of TensorFlow {facts.minimum_runtime}" if facts.minimum_runtime else ""
    of = need.runtime if " " in need.runtime else f"a runtime of TensorFlow {need.runtime}"
    return f"{of}: {need.why}" if need.why else of


def _tensor(tensor: TensorFacts) -> str:
    shape = " x ".join(map(str, tensor.shape)) or "dynamic"
    quantization = tensor.quantization
    scale = f"scale {quantization.scale:.8g}, zero point {quantization.zero_point}" if quantization else ""
    return "   ".join(filter(None, (f"{shape} {tensor.dtype}", scale, _quoted(tensor.name))))


def _quoted(name: str) -> str:
    return f"({name})" if name else ""


def _scores(facts: ModelFacts) -> str:
    output = _output(facts)
    return "" if output is None else f"{output.activation} (out of {facts.output_operator})"


def _output(facts: ModelFacts) -> OutputContract | None:
    try:
        return contract.infer(facts)[1]
    except Malformed:
        return None


def _operators(facts: ModelFacts) -> str:
    total = sum(entry.count for entry in facts.operators)
    shown = _SHOWN_OPERATORS if len(facts.operators) > _SHOWN_OPERATORS + 1 else None
    named = [f"{entry.count} {entry.name}" for entry in facts.operators[:shown]]
    rest = len(facts.operators) - len(named)
    return f"{total}: {', '.join(named)}{f', {rest} more kinds' if rest > 0 else ''}"


def _labels(found: Findings) -> str:
    output = _output(found.facts)
    if found.labels is None:
        return "none inside the file"
    fault = None if output is None else labels.mismatch([""] * found.labels, output.classes)
    return f"{found.labels} inside the file" if fault is None else f"inside the file: {fault}"


def _normalization(declared: Normalization | None) -> str:
    return "" if declared is None else f"mean {_listed(declared.mean)}, std {_listed(declared.std)}"


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _here(found: Findings) -> str:
    if found.delegate is None:
        return f"refused: {found.delegate_reason}"
    return f"{found.delegate} in {found.runtime}: {found.delegate_reason}"
