"""Runs .tflite files on one runtime, in a process of its own: a name of a runtime, then the files.

On standard output a line for each file: `ok`, or why it does not run.
"""

import sys
from pathlib import Path

import numpy as np

from agent.adapters.runtime_tflite import open_runtime
from agent.core.serving.delegate import RuntimeChoice
from agent.wire.errors import AgentError


def main() -> None:
    runtime = open_runtime(RuntimeChoice(sys.argv[1]))
    for path in sys.argv[2:]:
        sys.stdout.write(f"{_run(runtime, Path(path))}\n")
        sys.stdout.flush()


def _run(runtime, path: Path) -> str:
    try:
        model = runtime.open(path.read_bytes(), threads=1)
        for signature in model.signatures:
            model.call(signature, {port.name: _zeros(port) for port in signature.inputs})
    except AgentError as error:
        return " ".join(str(error).split())
    return "ok"


def _zeros(port):
    shape = tuple(max(1, size) for size in port.shape or ())
    return np.zeros(shape, np.object_) if port.dtype == "bytes" else np.zeros(shape, port.dtype)


if __name__ == "__main__":
    main()
