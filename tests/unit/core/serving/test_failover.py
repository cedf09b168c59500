import pytest

from agent.core.serving import failover
from agent.core.serving.failover import LOOK_MAX_S, Cause


@pytest.mark.parametrize(
    ("how", "opens", "spells", "hardware"),
    [
        ("killed by SIGABRT", False, 0, True),
        ("killed by SIGSEGV", False, 0, True),
        ("hung: no prediction for 10 s", False, 5, True),
        ("killed by SIGABRT", True, 0, True),
        ("killed by SIGABRT", True, 1, False),
        ("hung: no answer", True, 0, True),
        ("hung: no answer", True, 1, False),
        ("killed by SIGSEGV", True, 0, False),
        ("exit status 1", True, 0, False),
    ],
)
def test_only_where_the_edge_tpu_is_still_there_the_model_is_to_blame(how, opens, spells, hardware):
    assert failover.is_hardware(how, opens=opens, spells=spells) is hardware


@pytest.mark.parametrize(
    ("how", "circumstances", "cause"),
    [
        ("killed by SIGSEGV", {}, Cause.CRASHED),
        ("exit status 70", {}, Cause.CRASHED),
        ("exit status 1", {}, Cause.INVOKE),
        ("hung: no prediction for 10 s", {"hung": True}, Cause.HUNG),
        ("no memory", {"started": False}, Cause.START),
        ("killed by SIGABRT", {"on_edgetpu": True}, Cause.EDGETPU),
        ("hung: no prediction for 10 s", {"hung": True, "on_edgetpu": True}, Cause.EDGETPU),
    ],
)
def test_an_end_has_one_cause(how, circumstances, cause):
    assert (
        failover.cause(how, **{"started": True, "hung": False, "on_edgetpu": False} | circumstances) is cause
    )


def test_looks_grow_rarer_from_a_second_to_half_a_minute():
    waits_s = [failover.look_again_s(attempt) for attempt in range(10)]
    assert waits_s[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert waits_s[6:] == [LOOK_MAX_S] * 4
    assert failover.look_again_s(10**9) == LOOK_MAX_S
