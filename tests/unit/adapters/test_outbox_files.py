"""What only an outbox in files does: damage, a full disk, and how little it writes."""

import itertools
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.outbox_files import FileOutbox
from agent.wire.errors import StoreFailed

TOPIC = "shoal/home/device/0/pi/event"
ROOM_BYTES = 1_048_576


def put(outbox: FileOutbox, *numbers: int) -> None:
    for number in numbers:
        assert outbox.put(TOPIC, b"%d" % number)


def taken(outbox: FileOutbox) -> list[int]:
    return [int(kept.payload) for kept in outbox.take(1_000_000)]


def waiting(folder: Path, room_bytes: int = ROOM_BYTES) -> tuple[list[int], int]:
    """What the next process finds, and how many are counted as lost."""
    outbox = FileOutbox(folder, room_bytes)
    found = taken(outbox), outbox.dropped()
    outbox.close()
    return found


def filled(folder: Path, count: int, room_bytes: int = ROOM_BYTES) -> list[Path]:
    outbox = FileOutbox(folder, room_bytes)
    put(outbox, *range(count))
    outbox.close()
    return sorted(folder.glob("*.log"))


@pytest.mark.parametrize("torn_bytes", [1, 7, 20, 40])
def test_a_torn_tail_is_cut_off_and_the_rest_goes_on(tmp_path, torn_bytes):
    (log,) = filled(tmp_path, 10)
    os.truncate(log, log.stat().st_size - torn_bytes)
    outbox = FileOutbox(tmp_path, ROOM_BYTES)
    put(outbox, 10, 11)
    outbox.close()
    assert waiting(tmp_path) == ([*range(9), 10, 11], 0)


def test_pages_that_a_power_cut_left_empty_are_cut_off(tmp_path):
    (log,) = filled(tmp_path, 10)
    with log.open("ab") as file:
        file.write(bytes(4096))
    assert waiting(tmp_path) == (list(range(10)), 0)


def test_damage_in_the_middle_costs_the_rest_of_its_file_and_is_counted(tmp_path):
    first, second, *_ = filled(tmp_path, 2_000, 640_000)
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    numbers, dropped = waiting(tmp_path, 640_000)
    gap = next(after - before - 1 for before, after in itertools.pairwise(numbers) if after != before + 1)
    assert (len(numbers) + dropped, dropped) == (2_000, gap)
    assert second.exists()


def test_damage_under_a_running_agent_is_counted_and_passed_over(tmp_path):
    outbox = FileOutbox(tmp_path, 640_000)
    put(outbox, *range(2_000))
    first = min(tmp_path.glob("*.log"))
    first.write_bytes(bytes(first.stat().st_size))
    in_memory, *numbers = taken(outbox)
    assert (in_memory, numbers) == (0, list(range(2_000 - len(numbers), 2_000)))
    assert outbox.dropped() == 2_000 - 1 - len(numbers) > 0
    outbox.close()


def test_a_lost_ledger_repeats_messages_and_loses_none(tmp_path):
    outbox = FileOutbox(tmp_path, ROOM_BYTES)
    put(outbox, *range(10))
    outbox.forget(outbox.take(4)[-1].serial)
    outbox.close()
    assert waiting(tmp_path) == (list(range(4, 10)), 0)
    (tmp_path / "ledger").write_bytes(b"\xff" * 548)
    assert waiting(tmp_path) == (list(range(10)), 0)


def test_what_was_dropped_is_remembered_until_it_is_told(tmp_path):
    outbox = FileOutbox(tmp_path, ROOM_BYTES)
    outbox.lose()
    outbox.close()
    outbox = FileOutbox(tmp_path, ROOM_BYTES)
    assert (outbox.dropped(), outbox.untold()) == (1, 1)
    outbox.told(1)
    outbox.close()
    outbox = FileOutbox(tmp_path, ROOM_BYTES)
    assert (outbox.dropped(), outbox.untold()) == (1, 0)
    outbox.close()


def test_a_smaller_room_drops_the_oldest_at_the_start(tmp_path):
    filled(tmp_path, 2_000, 640_000)
    numbers, dropped = waiting(tmp_path, 64_000)
    assert numbers == list(range(dropped, 2_000))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.log")) <= 64_000


def test_what_flies_when_its_file_is_dropped_is_counted_only_if_it_does_not_land(tmp_path):
    room_bytes = 16_000
    for lands in (True, False):
        folder = tmp_path / str(lands)
        outbox = FileOutbox(folder, room_bytes)
        put(outbox, *range(10))
        flying = [kept.serial for kept in outbox.take(5)]
        put(outbox, *range(10, 1_000))
        dropped = outbox.dropped()
        if lands:
            for serial in flying:
                outbox.forget(serial)
        outbox.rewind()
        assert outbox.dropped() == dropped + (0 if lands else 5)
        assert len(taken(outbox)) + outbox.dropped() + 5 * lands == 1_000
        outbox.close()


def test_a_full_disk_refuses_once_aloud_and_is_over_when_there_is_room(tmp_path, caplog):
    """/dev/full answers every write as a full disk does."""
    caplog.set_level("INFO")
    outbox = FileOutbox(tmp_path, ROOM_BYTES)
    full = tmp_path / "00000001.log"
    full.symlink_to("/dev/full")
    assert [outbox.put(TOPIC, b"0") for _ in range(5)] == [False] * 5
    assert (outbox.depth(), taken(outbox)) == (0, [])
    full.unlink()
    outbox._end_tail()
    put(outbox, 1, 2)
    assert taken(outbox) == [1, 2]
    outbox.close()
    assert [r.message for r in caplog.records] == ["outbox.disk-refuses", "outbox.disk-accepts"]


def test_a_message_too_large_for_any_broker_is_not_kept(tmp_path):
    outbox = FileOutbox(tmp_path, ROOM_BYTES)
    assert not outbox.put(TOPIC, bytes(1_100_000))
    assert outbox.put(TOPIC, bytes(900_000))
    assert [len(kept.payload) for kept in outbox.take(2)] == [900_000]
    outbox.close()


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "outbox").write_bytes(b"")
    with pytest.raises(StoreFailed, match="could not open the outbox"):
        FileOutbox(tmp_path / "outbox", ROOM_BYTES)


def test_what_has_arrived_by_the_flush_never_reaches_the_disk(tmp_path):
    outbox = FileOutbox(tmp_path, ROOM_BYTES)
    for number in range(100):
        put(outbox, number)
        outbox.forget(outbox.take(1)[0].serial)
    outbox.flush()()
    assert [log.stat().st_size for log in tmp_path.glob("*.log")] == [0]
    put(outbox, 100)
    assert taken(outbox) == [100]
    outbox.close()


@given(
    before=st.lists(st.integers(1, 120), min_size=1, max_size=4),
    forgotten=st.integers(0, 60),
    after=st.lists(st.integers(1, 120), max_size=3),
    forgotten_later=st.integers(0, 60),
    new=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_what_was_flushed_outlives_a_power_cut_whichever_later_writes_reached_the_disk(
    tmp_path_factory, before, forgotten, after, forgotten_later, new
):
    """Each file is then as it was at the flush, or as it was at the cut."""
    folder, room_bytes = tmp_path_factory.mktemp("cut"), 200_000
    outbox = FileOutbox(folder / "live", room_bytes)
    put(outbox, *range(sum(before)))
    for kept in outbox.take(forgotten):
        outbox.forget(kept.serial)
    outbox.flush()()
    shutil.copytree(folder / "live", folder / "flushed")
    put(outbox, *range(sum(before), sum(before) + sum(after)))
    for kept in outbox.take(forgotten_later):
        outbox.forget(kept.serial)
    done = outbox._ledger.done
    outbox.close()
    (folder / "cut").mkdir()
    names = sorted({path.name for path in [*folder.glob("live/*"), *folder.glob("flushed/*")]})
    for name, is_new in zip(names, itertools.cycle(new), strict=False):
        version = folder / ("live" if is_new else "flushed") / name
        if version.exists():
            shutil.copy(version, folder / "cut" / name)
    numbers, _ = waiting(folder / "cut", room_bytes)
    assert numbers == sorted(set(numbers))
    assert set(range(done, sum(before))) <= set(numbers)


def test_torn_at_any_byte_what_is_whole_is_there_in_order(tmp_path):
    (log,) = filled(tmp_path, 6)
    whole, ledger = log.read_bytes(), (tmp_path / "ledger").read_bytes()
    kept = []
    for length in range(len(whole) + 1):
        log.write_bytes(whole[:length])
        (tmp_path / "ledger").write_bytes(ledger)
        found, _ = waiting(tmp_path)
        assert found == [*range(len(found))]
        kept.append(len(found))
    assert kept == sorted(kept)
    assert kept[-1] == 6


def test_files_of_others_are_left_alone(tmp_path):
    filled(tmp_path, 2)
    (tmp_path / "notes.log").write_text("mine")
    assert waiting(tmp_path) == ([0, 1], 0)
    assert (tmp_path / "notes.log").read_text() == "mine"
