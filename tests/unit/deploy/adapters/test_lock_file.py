from datetime import UTC, datetime

import msgspec
import pytest

from deploy.adapters.lock_file import Busy, Holder, acting, controller, controlling

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def holder(host="alpha", pid=7):
    return Holder(host=host, user="ann", pid=pid, since=NOON)


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "controller.lock"


def test_a_second_controller_is_told_who_the_first_one_is(lock):
    with controlling(lock, holder(), take_over=False) as before:
        assert before is None
        with (
            pytest.raises(Busy, match=r"ann@alpha \(process 7\) since 2026-06-01 12:00 UTC"),
            controlling(lock, holder(pid=8), take_over=True),
        ):
            pass


def test_one_that_said_goodbye_leaves_nothing_behind(lock):
    with controlling(lock, holder(), take_over=False):
        pass
    with controlling(lock, holder("beta"), take_over=False) as before:
        assert before is None


def test_one_that_died_on_this_machine_is_followed_without_a_word(lock):
    lock.write_bytes(msgspec.json.encode(holder(pid=6)))
    with controlling(lock, holder(), take_over=False) as before:
        assert before == holder(pid=6)


def test_one_of_another_machine_is_followed_only_by_who_says_that_it_is_gone(lock):
    lock.write_bytes(msgspec.json.encode(holder("beta")))
    with (
        pytest.raises(Busy, match=r"the last controller was ann@beta .* --take-over WHY"),
        controlling(lock, holder(), take_over=False),
    ):
        pass
    with controlling(lock, holder(), take_over=True) as before:
        assert before == holder("beta")


def test_a_lock_file_of_whatever_content_is_a_free_place(lock):
    lock.write_bytes(b"\x00nonsense")
    with controlling(lock, holder(), take_over=False) as before:
        assert before is None


def test_who_acts_keeps_the_others_waiting_and_not_for_ever(lock):
    with acting(lock), pytest.raises(Busy, match="publishing for 0 s"), acting(lock, wait_s=0.0):
        pass
    with acting(lock, wait_s=0.0):
        pass


def test_who_asks_learns_who_controls_now_and_never_who_did(lock):
    assert controller(lock) is None
    with controlling(lock, holder(), take_over=False):
        assert controller(lock) == holder()
    assert controller(lock) is None
    lock.write_bytes(msgspec.json.encode(holder(pid=6)))
    assert controller(lock) is None
