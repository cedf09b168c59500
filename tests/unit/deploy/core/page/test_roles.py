import pytest

from agent.core.page.access import Role
from deploy.core.page import roles
from deploy.core.page.roles import Act

MAY = {
    Role.VIEWER: (Act.LOOK,),
    Role.OPERATOR: (Act.LOOK, Act.ORDER),
    Role.APPROVER: (Act.LOOK, Act.ORDER, Act.APPROVE),
}


@pytest.mark.parametrize("role", Role)
def test_each_role_may_what_its_line_says_and_is_told_who_may_the_rest(role):
    assert roles.allowed(role) == MAY[role]
    for act in Act:
        words = roles.refusal("vera", role, act)
        assert bool(words) is (act not in MAY[role])
        assert not words or words.startswith(
            f"vera is {roles.a(role)}, and it takes an {roles.NEEDS[act]} to "
        )


def test_nobody_signs_for_a_wave_of_their_own_rollout():
    assert roles.own_rollout("ava", "cats-2", "olga") == ""
    assert roles.own_rollout("ava", "cats-2", "ava").startswith("ava began rollout cats-2")
