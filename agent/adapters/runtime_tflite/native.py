"""Calls into the runtimes: what they raise, in one sentence, and what they print."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from agent.wire.errors import ModelUnloadable

_LOAD_FAULTS: Final = (ValueError, RuntimeError, MemoryError, OSError)
"""What Interpreter() and allocate_tensors() raise; UnicodeDecodeError, which tflite-runtime raises while it
reports on garbage, is a ValueError."""

NUMPY_TRAP: Final = (
    "tflite-runtime 2.14 was built for numpy 1 and finds numpy {}: pip install 'numpy<2', or ai-edge-litert"
)


def call(intent: str, native: Callable[[], Any]) -> Any:
    """
    Raises:
        ModelUnloadable: the runtime refused, with its reason.
    """
    try:
        return native()
    except SystemError as error:
        raise ModelUnloadable(NUMPY_TRAP.format(np.__version__)) from error
    except _LOAD_FAULTS as error:
        raise ModelUnloadable(f"the runtime refuses to {intent}: {sentence(error)}") from error


def sentence(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines) or type(error).__name__
    # tflite-runtime says everything twice.
    half = len(text) // 2
    return text[:half] if text[:half] == text[half:] else text


_stderr_lock = threading.Lock()


@contextlib.contextmanager
def stderr_silenced() -> Iterator[None]:
    """TFLite greets on file descriptor 2, past every log level; its errors come as exceptions as well."""
    with _stderr_lock, contextlib.ExitStack() as stack:
        try:
            kept = os.dup(2)
        except OSError:
            yield  # there is no standard error
            return
        stack.callback(os.close, kept)
        if sys.stderr is not None:
            sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        stack.callback(os.dup2, kept, 2)
        yield
