from agent.core.page.access import (
    FREE_TRIES,
    IDLE_S,
    LASTS_S,
    SESSIONS_MAX,
    TRIERS_MAX,
    WAIT_MAX_S,
    Person,
    Role,
    Sessions,
    Tries,
    network,
)

SOMEBODY = Person("ada", Role.OPERATOR)


def test_each_role_may_do_what_those_before_it_may():
    covered = {role: [needed for needed in Role if role.covers(needed)] for role in Role}
    assert covered == {
        Role.VIEWER: [Role.VIEWER],
        Role.OPERATOR: [Role.VIEWER, Role.OPERATOR],
        Role.APPROVER: list(Role),
    }


def test_a_session_ends_when_nobody_uses_it():
    sessions = Sessions()
    sessions.begin("key", SOMEBODY, 0.0)
    assert sessions.use("key", IDLE_S) == SOMEBODY
    assert sessions.use("key", 2 * IDLE_S) == SOMEBODY
    assert sessions.use("key", 3 * IDLE_S + 1.0) is None
    assert sessions.use("key", 3 * IDLE_S + 1.0) is None


def test_a_session_ends_one_day_however_much_it_is_used():
    sessions = Sessions()
    sessions.begin("key", SOMEBODY, 0.0)
    times_s = [hour * 3600.0 for hour in range(1, int(LASTS_S / 3600) + 1)]
    assert all(sessions.use("key", now_s) == SOMEBODY for now_s in times_s)
    assert sessions.use("key", LASTS_S + 1.0) is None


def test_who_signs_out_is_out():
    sessions = Sessions()
    sessions.begin("key", SOMEBODY, 0.0)
    sessions.end("key")
    assert sessions.use("key", 1.0) is None


def test_the_sessions_that_are_kept_are_those_used_last():
    sessions = Sessions()
    for number in range(SESSIONS_MAX):
        sessions.begin(str(number), SOMEBODY, float(number))
    sessions.use("0", 1_000.0)
    sessions.begin("one more", SOMEBODY, 1_001.0)
    assert sessions.use("0", 1_002.0) == SOMEBODY
    assert sessions.use("1", 1_002.0) is None


def test_after_a_few_wrong_tries_each_next_one_waits_twice_as_long():
    tries, now_s, waits_s = Tries(), 0.0, []
    for _ in range(FREE_TRIES + 9):
        wait_s = tries.begin("192.0.2.1", now_s)
        waits_s.append(wait_s)
        if wait_s:
            now_s += wait_s
            assert tries.begin("192.0.2.1", now_s) == 0.0
    assert waits_s[:FREE_TRIES] == [0.0] * FREE_TRIES
    assert waits_s[FREE_TRIES:] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, WAIT_MAX_S, WAIT_MAX_S, WAIT_MAX_S]


def test_one_who_guesses_does_not_keep_others_out():
    tries = Tries()
    for _ in range(FREE_TRIES):
        tries.begin("192.0.2.1", 0.0)
    assert tries.begin("192.0.2.1", 0.0) > 0.0
    assert tries.begin("192.0.2.2", 0.0) == 0.0


def test_who_knows_the_password_at_last_starts_anew():
    tries = Tries()
    for _ in range(FREE_TRIES):
        tries.begin("192.0.2.1", 0.0)
    tries.passed("192.0.2.1")
    assert tries.begin("192.0.2.1", 0.0) == 0.0


def test_many_addresses_of_one_network_are_one_and_many_networks_take_no_more_room():
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1")
    tries = Tries()
    for number in range(2 * TRIERS_MAX):
        tries.begin(f"2001:db8:{number:x}::1", 0.0)
    assert len(tries._triers) == TRIERS_MAX
