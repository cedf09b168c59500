"""Inside a process that has loaded the simulated library: the models that its operators were compiled from.

`edgetpu_sim.c` calls these functions; an exception becomes a failed invocation, with its trace on standard
error.
"""

import ctypes
import itertools
import sys
from pathlib import Path


class Memory(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("bytes", ctypes.c_size_t))


_twins = {}
_numbers = itertools.count()


def load(path, runtime):
    """The number of a new interpreter, of the runtime package that `runtime`, a library, belongs to."""
    if not Path(path).exists():
        return -1
    package = "tflite_runtime" if "tflite_runtime" in runtime else "ai_edge_litert"
    module = sys.modules[f"{package}.interpreter"]
    interpreter = module.Interpreter(model_content=Path(path).read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    number = next(_numbers)
    _twins[number] = interpreter
    return number


def run(number, inputs, input_count, outputs, output_count):
    twin = _twins[number]
    # A compiled model keeps its state on the device and starts each run afresh.
    twin.reset_all_variables()
    fed, given = (Memory * input_count).from_address(inputs), (Memory * output_count).from_address(outputs)
    for details, memory in zip(twin.get_input_details(), fed, strict=True):
        _copy(twin.tensor(details["index"])(), memory, into=True)
    twin.invoke()
    for details, memory in zip(twin.get_output_details(), given, strict=True):
        _copy(twin.tensor(details["index"])(), memory, into=False)
    return 0


def drop(number):
    del _twins[number]
    return 0


def _copy(array, memory, *, into):
    if array.nbytes != memory.bytes:
        raise ValueError(f"the twin has {array.nbytes} bytes where the compiled model has {memory.bytes}")
    ends = (array.ctypes.data, memory.start) if into else (memory.start, array.ctypes.data)
    ctypes.memmove(*ends, array.nbytes)
