"""A program with the options, files and reports of Coral's compiler, as its documentation has them and issues
of google-coral/edgetpu quote them. What it writes is a real model with the one custom operator in the place
of all others, which a simulated Edge TPU could load and no hardware.

Environment: COMPILER_PRINTS, to print that and end with status 1; COMPILER_KEEPS, how many operators at the
end stay on the CPU in the report.
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

VERSION = "Edge TPU Compiler version 16.0.384591198"
NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def install(folder: Path) -> Path:
    """An `edgetpu_compiler` in the folder, for PATH."""
    program = folder / "edgetpu_compiler"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    program.chmod(0o755)
    return program


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--out_dir", type=Path, default=Path())
    parser.add_argument("-m", "--min_runtime_version", type=int)
    parser.add_argument("-n", "--num_segments", type=int, default=1)
    parser.add_argument("-t", "--timeout_sec", type=int, default=180)
    parser.add_argument("-s", "--show_operations", action="store_true")
    parser.add_argument("-d", "--search_delegate", action="store_true")
    parser.add_argument("-a", action="store_true")
    parser.add_argument("models", nargs="+", type=Path)
    options = parser.parse_args()
    say(VERSION)
    if "COMPILER_PRINTS" in os.environ:
        say(os.environ["COMPILER_PRINTS"])
        return 1
    say(f"Started a compilation timeout timer of {options.timeout_sec} seconds.\n")
    say(f"Model{'s' if len(options.models) > 1 else ''} compiled successfully in 542 ms.\n")
    for model in options.models:
        for part in range(options.num_segments):
            segment = f"_segment_{part}_of_{options.num_segments}" if options.num_segments > 1 else ""
            report(options, model, f"{model.stem}{segment}")
    say("Compilation child process completed within timeout period.\nCompilation succeeded! ")
    return 0


def report(options: Any, source: Path, stem: str) -> None:
    content = source.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    kept = int(os.environ.get("COMPILER_KEEPS", "0"))
    rows, total = table(model, kept), len(model.subgraphs[0].operators)
    out = options.out_dir / f"{stem}_edgetpu.tflite"
    made = compiled(model) if kept < total else content
    out.write_bytes(made)
    log = out.with_suffix(".log")
    log.write_text(f"{VERSION}\nInput: {source}\nOutput: {out}\n\n{rows}")
    say(f"Input model: {source}\nInput size: {size(len(content))}")
    say(f"Output model: {out}\nOutput size: {size(len(made))}")
    say(f"On-chip memory used for caching model parameters: {size(len(content) * 9 // 10)}")
    say("On-chip memory remaining for caching model parameters: 1.75KiB")
    say("Off-chip memory used for streaming uncached model parameters: 0.00B")
    say(f"Number of Edge TPU subgraphs: 1\nTotal number of operations: {total}\nOperation log: {log}")
    if kept:
        say(
            "\nModel successfully compiled but not all operations are supported by the Edge TPU. A "
            "percentage of the model will instead run on the CPU, which is slower. If possible, consider "
            "updating your model to use only operations supported by the Edge TPU. For details, visit "
            f"g.co/coral/model-reqs.\nNumber of operations that will run on Edge TPU: {total - kept}"
            f"\nNumber of operations that will run on CPU: {kept}"
        )
    say(f"\n{rows}" if options.show_operations else "See the operation log file for details.")


def table(model: Any, kept: int) -> str:
    names = [NAMES[model.operatorCodes[op.opcodeIndex].builtinCode] for op in model.subgraphs[0].operators]
    mapped = len(names) - kept
    lines = [f"{'Operator':<31}{'Count':<11}Status", ""]
    for some, status in (
        (names[:mapped], "Mapped to Edge TPU"),
        (names[mapped:], "More than one subgraph is not supported"),
    ):
        lines += [f"{name:<31}{count:<11}{status}" for name, count in Counter(some).items()]
    return "\n".join(lines) + "\n"


def size(length: int) -> str:
    for unit, bytes_ in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if length >= bytes_:
            return f"{length / bytes_:.2f}{unit}"
    return f"{length:.2f}B"


def compiled(model: Any) -> bytes:
    graph = model.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"edgetpu-custom-op", 1
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = np.array(graph.inputs, np.int32), np.array(graph.outputs, np.int32)
    operator.customOptions = np.frombuffer(b"not a program of any Edge TPU", np.uint8)
    model.operatorCodes, graph.operators = [code], [operator]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    sys.exit(main())
