import pytest

from deploy.core.factory.edgetpu import compiler_missing, compiler_report

# As quoted in google-coral/edgetpu issue 427, with a table of issue 671's form.
VERSION_15 = """\
Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 1379 ms.

Input model: model.tflite
Input size: 4.41MiB
Output model: model_edgetpu.tflite
Output size: 5.49MiB
On-chip memory used for caching model parameters: 1.92MiB
On-chip memory remaining for caching model parameters: 1.75KiB
Off-chip memory used for streaming uncached model parameters: 3.23MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 23
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model \
will instead run on the CPU, which is slower. If possible, consider updating your model to use only \
operations supported by the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 18
Number of operations that will run on CPU: 5

Operator                       Count      Status

RESHAPE                        15         Mapped to Edge TPU
CONCATENATION                  3          Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some \
unspecified limitation
RESHAPE                        3          Tensor has unsupported rank (up to 3 innermost dimensions mapped)
CUSTOM                         1          Operation is working on an unsupported data type
"""

# Issue 518: two models in one run, without the tables.
TOGETHER = """\
Edge TPU Compiler version 15.0.340273435
Models compiled successfully in 2988 ms.
Input model: cnn.tflite
Input size: 8.00MiB
Output model: cnn_edgetpu.tflite
Output size: 9.30MiB
On-chip memory used for caching model parameters: 7.16MiB
On-chip memory remaining for caching model parameters: 2.25KiB
Off-chip memory used for streaming uncached model parameters: 2.95MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 313
Operation log: cnn_edgetpu.log
See the operation log file for individual operation details.
Input model: rnn.tflite
Input size: 2.97MiB
Output model: rnn_edgetpu.tflite
Output size: 4.74MiB
On-chip memory used for caching model parameters: 0.00B
On-chip memory remaining for caching model parameters: 2.25KiB
Off-chip memory used for streaming uncached model parameters: 4.53MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 78
Operation log: rnn_edgetpu.log
See the operation log file for individual operation details.
"""

LOG = """\
Edge TPU Compiler version 14.1.317412892
Input: tiny_yolo.tflite
Output: tiny_yolo_edgetpu.tflite

Operator                       Count      Status

CONCATENATION                  1          More than one subgraph is not supported
MAX_POOL_2D                    6          Mapped to Edge TPU
RESIZE_NEAREST_NEIGHBOR        1          Operation version not supported
"""


def test_a_report_is_read_to_its_last_number() -> None:
    report = compiler_report.read(VERSION_15)

    assert (report.compiler, report.took_ms) == ("15.0.340273435", 1379)
    (part,) = report.parts
    assert (part.source, part.output) == ("model.tflite", "model_edgetpu.tflite")
    assert part.cached_bytes == round(1.92 * 1024**2)
    assert part.left_bytes == round(1.75 * 1024)
    assert part.streamed_bytes == round(3.23 * 1024**2)
    assert (part.subgraphs, part.total, part.mapped) == (1, 23, 18)
    assert sum(each.count for each in part.operators) == 23


def test_models_compiled_in_one_run_are_told_apart() -> None:
    cnn, rnn = compiler_report.read(TOGETHER).parts

    assert (cnn.output, cnn.total, cnn.cached_bytes) == ("cnn_edgetpu.tflite", 313, round(7.16 * 1024**2))
    assert (rnn.output, rnn.total, rnn.cached_bytes) == ("rnn_edgetpu.tflite", 78, 0)
    assert cnn.operators == rnn.operators == ()


def test_the_log_beside_a_compiled_model_holds_the_same_table() -> None:
    found = [(each.operator, each.count, each.mapped) for each in compiler_report.operators(LOG.splitlines())]

    assert found == [
        ("CONCATENATION", 1, False),
        ("MAX_POOL_2D", 6, True),
        ("RESIZE_NEAREST_NEIGHBOR", 1, False),
    ]


@pytest.mark.parametrize("printed", ["", "garbage: here", "Edge TPU Compiler version 16.0.384591198\n"])
def test_where_nothing_was_compiled_there_are_no_parts(printed: str) -> None:
    assert compiler_report.read(printed).parts == ()


_STATIC = (
    "ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph that has "
    "dynamic-sized tensors.\nCompilation failed: Model failed in Tflite interpreter. Please ensure model can "
    "be loaded/run in Tflite interpreter."
)
_DONE = "Compilation child process completed within timeout period.\nCompilation failed! "


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        pytest.param("Invalid model: m.tflite\nModel not quantized\n", "--quantize int8", id="168"),
        pytest.param("Internal compiler error. Aborting!", "too large", id="49"),
        pytest.param(
            "ERROR: Didn't find op for builtin opcode 'QUANTIZE' version '3'. An older version of this "
            "builtin might be supported.\nERROR: Registration failed.\nInvalid model: m.tflite\n"
            "Model could not be parsed",
            "QUANTIZE of version 3",
            id="879",
        ),
        pytest.param(
            "Invalid model: m.tflite\nModel could not be parsed", "newer than the compiler", id="34"
        ),
        pytest.param(f"{_STATIC}\n{_DONE}", "fix the batch", id="829"),
        pytest.param(
            "ERROR: Encountered unresolved custom op: Atan.\nERROR: Node number 1 (Atan) failed to prepare.\n"
            f"Compilation failed: Model failed in Tflite interpreter.\n{_DONE}",
            "custom operator Atan",
            id="custom operator",
        ),
        pytest.param("Compilation failed: Compilation timed out", "--timeout-s", id="too slow"),
        pytest.param(f"Started a compilation timeout timer of 180 seconds.\n{_DONE}", "--search", id="800"),
        pytest.param(
            "ERROR: Restored original execution plan after delegate application failure.\n"
            f"Compilation failed: Compilation failed due to large activation tensors in model.\n{_DONE}",
            "--search-delegate, which leaves to the CPU",
            id="439",
        ),
        pytest.param(
            "Searching for valid delegate with step 10\nTry to compile segment with 322 ops\n"
            f"Compilation failed: Compilation failed due to large activation tensors in model.\n{_DONE}",
            "found none",
            id="444",
        ),
        pytest.param("Illegal option -q", "its last words: Illegal option -q", id="unknown"),
        pytest.param("", "status 7; it said nothing", id="silence"),
    ],
)
def test_a_failure_is_told_with_what_to_do(printed: str, said: str) -> None:
    told = compiler_report.failure(f"Edge TPU Compiler version 16.0.384591198\n{printed}", 7)

    assert said in told
    assert "\n" not in told


def test_a_crash_is_told_by_the_name_of_its_signal() -> None:
    assert "died of SIGSEGV" in compiler_report.failure("Edge TPU Compiler version 16.0.384591198\n", -11)


def test_a_search_takes_as_long_as_its_successes_together() -> None:
    assert compiler_report.read(VERSION_15 + VERSION_15).took_ms == 2 * 1379


def test_an_unknown_reason_is_left_in_the_compilers_words() -> None:
    assert compiler_report.reason("The moon is full") == "The moon is full"
    assert "8" in compiler_report.reason("Operation is working on an unsupported data type")


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [
        ("Linux", "x86_64", "apt install edgetpu-compiler"),
        ("Linux", "aarch64", "none for Linux on aarch64"),
        ("Darwin", "arm64", "container"),
    ],
)
def test_where_the_compiler_is_missing_it_is_said_what_to_do_there(
    system: str, machine: str, said: str
) -> None:
    assert said in compiler_missing.in_words(system, machine)
