import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.serving import tuning
from agent.core.serving.tuning import REMEMBERED_MAX, Timing, Tuning
from agent.wire.topics import sha256

CPU, TPU = sha256(b"x.tflite"), sha256(b"x_edgetpu.tflite")
HERE = {"runtime": "ai-edge-litert 2.3.0", "host": "aarch64 Cortex-A72 x4"}


def measured(*timings, edgetpu_ms=None, compiled=None, **changes):
    cpu = tuple(Timing(threads, invoke_ms) for threads, invoke_ms in timings)
    return Tuning(variant=CPU, compiled=compiled, cpu=cpu, edgetpu_ms=edgetpu_ms, **HERE | changes)


@pytest.mark.parametrize(("cores", "counts"), [(1, (1,)), (2, (1, 2)), (4, (1, 2, 4)), (64, (1, 2, 8))])
def test_one_thread_is_always_among_the_counts_that_are_measured(cores, counts):
    assert tuning.counts(cores) == counts


@pytest.mark.parametrize(
    ("timings", "threads"),
    [
        ([(1, 9.8), (2, 7.1)], 2),
        ([(1, 7.1), (2, 9.8)], 1),
        ([(1, 10.0), (2, 9.6)], 1),
        ([(1, 10.0), (2, 9.4), (4, 5.0)], 4),
        ([(1, 10.0)], 1),
    ],
)
def test_more_threads_are_taken_only_where_they_were_clearly_faster(timings, threads):
    assert tuning.best(measured(*timings)).threads == threads


@given(st.dictionaries(st.integers(1, 8), st.floats(0.01, 1e4), max_size=4), st.floats(0.01, 1e4))
def test_the_choice_is_never_slower_than_one_thread(timings, one_ms):
    assert tuning.best(measured(*(timings | {1: one_ms}).items())).invoke_ms <= one_ms


@pytest.mark.parametrize(
    ("edgetpu_ms", "cpu"),
    [(None, False), (3.0, False), (9.9, False), (11.9, False), (12.0, True), (20.0, True)],
)
def test_the_cpu_is_preferred_only_where_it_is_a_fifth_faster_than_the_edge_tpu(edgetpu_ms, cpu):
    assert tuning.prefers_cpu(measured((1, 10.0), edgetpu_ms=edgetpu_ms)) is cpu


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (measured((1, 9.8), (2, 7.1)), "measured: 2 threads 7.1 ms, 1 thread 9.8 ms"),
        (
            measured((1, 9.8), (2, 9.7), edgetpu_ms=2.44),
            "measured: 1 thread 9.8 ms, 2 threads 9.7 ms, Edge TPU 2.4 ms",
        ),
    ],
)
def test_the_choice_is_told_with_what_it_was_chosen_from(made, words):
    assert tuning.in_words(made) == words


def test_a_measurement_holds_for_these_files_this_runtime_and_this_host():
    pair, alone = measured((1, 1.0), compiled=TPU, edgetpu_ms=2.0), measured((1, 3.0))
    asked = {"variant": CPU, "compiled": TPU, **HERE}
    assert tuning.find([pair, alone], **asked) == pair
    assert tuning.find([pair], **asked | {"compiled": None}) == pair
    assert tuning.find([alone], **asked) is None
    for other in ({"runtime": "ai-edge-litert 2.4.0"}, {"host": "aarch64 Cortex-A76 x4"}, {"variant": TPU}):
        assert tuning.find([pair, alone], **asked | other) is None


def test_a_new_measurement_replaces_the_old_one_of_the_same_files_and_the_oldest_are_forgotten():
    known = ()
    for number in range(REMEMBERED_MAX + 3):
        known = tuning.remember(known, replace(measured((1, 1.0)), variant=sha256(b"%d" % number)))
    newer = replace(known[-1], runtime="ai-edge-litert 2.4.0")
    again = tuning.remember(known, newer)
    assert len(again) == len(known) == REMEMBERED_MAX
    assert again == (*known[:-1], newer)
    assert tuning.forget(again, newer.variant) == known[:-1]
