from datetime import UTC, datetime
from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from agent.loops.replies import PREDICTIONS_MAX, Replies
from agent.wire.documents import StageLatency
from agent.wire.ipc import CameraBack, FromWorker, Predicted
from agent.wire.topics import Digest
from tests.fakes.children import MemoryPipe


def predicted(sequence: int) -> Predicted:
    return Predicted(
        manifest=Digest("0" * 64),
        sequence=sequence,
        frame="",
        captured_at=datetime(2026, 1, 1, tzinfo=UTC),
        predictions=(),
        latency_ms=StageLatency(capture=0, pre=0, invoke=0, post=0, age=0),
        frames=0,
        frames_dropped=0,
    )


@given(st.lists(st.booleans(), max_size=3 * PREDICTIONS_MAX))
def test_of_what_nobody_reads_the_freshest_predictions_and_every_other_message_remain(
    script: list[bool],
) -> None:
    pipe = MemoryPipe()
    replies = Replies(pipe)
    said: list[FromWorker] = [
        predicted(index) if is_prediction else CameraBack(lost_s=index)
        for index, is_prediction in enumerate(script)
    ]
    for message in said:
        replies.put(message)
    replies.close()
    replies.run()
    stale = [message for message in said if isinstance(message, Predicted)][:-PREDICTIONS_MAX]
    assert pipe.sent == [message for message in said if message not in stale]


def test_what_is_put_while_the_writer_waits_is_sent() -> None:
    pipe = MemoryPipe()
    replies = Replies(pipe)
    writer = Thread(target=replies.run)
    writer.start()
    replies.put(predicted(1))
    assert pipe.heard(Predicted).sequence == 1
    replies.close()
    writer.join(5.0)
    assert not writer.is_alive()
