import dataclasses
from datetime import UTC, datetime
from threading import Thread
from types import SimpleNamespace
from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.loops.child.answers import Answer
from agent.loops.child.loading import Loaded
from agent.loops.child.replies import ANSWERS_MAX, Replies
from agent.ports.runtime import TensorInfo
from agent.wire.documents import Dtype, OutputContract
from agent.wire.ipc import CameraTurned, InvokeFailed, Predicted, Sampled
from agent.wire.reports import CameraState
from agent.wire.topics import Digest
from tests.fakes.children import MemoryPipe
from tests.fakes.clock import FakeClock

LOADED = cast(
    "Loaded",
    SimpleNamespace(
        spec=SimpleNamespace(
            manifest=Digest("0" * 64), output=OutputContract(classes=3, dtype=Dtype.FLOAT32)
        ),
        model=SimpleNamespace(output=TensorInfo("scores", (1, 3), Dtype.FLOAT32, None)),
        labels=("red", "green", "blue"),
        top=2,
    ),
)


def answer(sequence: int) -> Answer:
    return Answer(
        loaded=LOADED,
        output=np.array([[0.1, 0.7, 0.2]], np.float32),
        sequence=sequence,
        frame="f",
        captured_ns=0,
        captured_at=datetime(2026, 1, 1, tzinfo=UTC),
        capture_ms=1.0,
        pre_ms=2.0,
        invoke_ms=3.0,
        frames=5,
        dropped=4,
        sampled=None,
    )


def sent(*items: Answer | CameraTurned) -> list[object]:
    pipe = MemoryPipe()
    replies = Replies(pipe, FakeClock())
    for item in items:
        replies.put(item)
    replies.close()
    replies.run()
    return list(pipe.sent)


@given(st.lists(st.booleans(), max_size=3 * ANSWERS_MAX))
def test_of_what_nobody_reads_the_freshest_answers_and_every_other_message_remain(script: list[bool]) -> None:
    said = [
        answer(index) if it_is else CameraTurned(state=CameraState.LIVE, lasted_s=index)
        for index, it_is in enumerate(script)
    ]
    stale = {item.sequence for item in [item for item in said if isinstance(item, Answer)][:-ANSWERS_MAX]}
    assert [item.sequence if isinstance(item, Predicted) else item for item in sent(*said)] == [
        item.sequence if isinstance(item, Answer) else item
        for item in said
        if not isinstance(item, Answer) or item.sequence not in stale
    ]


def test_an_answer_leaves_ranked_and_with_its_latencies() -> None:
    (predicted,) = sent(answer(7))
    assert isinstance(predicted, Predicted)
    assert [(ranked.index, ranked.label) for ranked in predicted.predictions] == [(1, "green"), (2, "blue")]
    assert (predicted.sequence, predicted.frames, predicted.frames_dropped) == (7, 5, 4)
    latency = predicted.latency_ms
    assert (latency.capture, latency.pre, latency.invoke, latency.post) == (1.0, 2.0, 3.0, 0.0)
    assert latency.age == FakeClock().monotonic_ns() / 1e6


def test_a_sampled_answer_is_followed_by_its_frame() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    predicted, sampled = sent(dataclasses.replace(answer(7), sampled=pixels))
    assert isinstance(predicted, Predicted)
    assert isinstance(sampled, Sampled)
    assert (sampled.height_px, sampled.width_px, sampled.rgb) == (2, 4, bytes(range(24)))
    assert sampled.predictions == predicted.predictions


def test_an_answer_that_is_not_finite_is_a_failure() -> None:
    (failed,) = sent(dataclasses.replace(answer(7), output=np.array([[0.1, np.nan, 0]], np.float32)))
    assert isinstance(failed, InvokeFailed)
    assert (failed.sequence, failed.detail) == (7, "its output is not finite")


def test_what_is_put_while_the_writer_waits_is_sent() -> None:
    pipe = MemoryPipe()
    replies = Replies(pipe, FakeClock())
    writer = Thread(target=replies.run)
    writer.start()
    replies.put(answer(1))
    assert pipe.heard(Predicted).sequence == 1
    replies.close()
    writer.join(5.0)
    assert not writer.is_alive()
