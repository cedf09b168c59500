import getpass
import os

import pytest

from deploy.adapters import account


def test_it_is_the_name_of_the_account():
    assert account.name() == getpass.getuser()


@pytest.mark.parametrize("fault", [KeyError("uid not found"), OSError("no username set")])
def test_an_account_without_a_name_has_a_number(monkeypatch, fault):
    def nameless():
        raise fault

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert account.name() == f"uid-{os.getuid()}"
