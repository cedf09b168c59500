from fractions import Fraction

import pytest

from agent.core.update import cohort
from agent.wire.documents import Plan
from agent.wire.topics import DeviceId, Digest
from deploy.adapters.repository_tuf import TufRepository
from deploy.core.plans import Known, Wave
from deploy.core.refusal import Refused
from deploy.flows.revert import revert, revert_and_revoke
from deploy.flows.rollout import RolledOut, digests, roll_out
from tests.fakes.clock import FakeClock
from tests.fakes.operator import manifest

ALL = Wave(Fraction(1), "s")


@pytest.fixture
def repository(tmp_path):
    made = TufRepository.create(tmp_path / "r", tmp_path / "offline", tmp_path / "online", FakeClock())
    made.add_release(manifest(version="1"))
    made.add_release(manifest(version="2"))
    return made


def test_the_newest_version_goes_to_a_share_of_the_known_devices(repository):
    known = Known({"cpu": tuple(DeviceId(f"cam-{number}") for number in range(20))})
    done = roll_out(repository, "main", "cats", Wave(Fraction(1, 20), "s"), known)
    assert done == RolledOut(
        plan=repository.plan("main"), candidate=repository.releases()[1], chosen=done.chosen, known=20
    )
    assert (done.candidate.version, len(done.chosen)) == ("2", 1)
    assert cohort.belongs(done.plan.cut, "cpu", "s", done.chosen[0])


def test_a_revert_goes_back_to_what_was_out_for_all(repository):
    first = roll_out(repository, "main", "cats@1", ALL, Known()).candidate
    second = roll_out(
        repository, "main", "cats@2", ALL, Known(committed=frozenset({first.manifest}))
    ).candidate
    done = revert(repository, "main")
    assert (done.withdrawn, repository.plan("main")) == (
        second,
        Plan(stream="main", serial=3, stable=first),
    )


def test_a_revoked_release_is_never_rolled_out_again(repository):
    roll_out(repository, "main", "cats@1", ALL, Known())
    roll_out(repository, "main", "cats@2", ALL, Known())
    revert_and_revoke(repository, "main")
    before = repository.plan("main")
    with pytest.raises(Refused, match="was revoked"):
        roll_out(repository, "main", "cats@2", ALL, Known())
    assert repository.plan("main") == before


def test_files_that_stable_shares_with_the_candidate_stay_allowed(repository):
    """Both releases of this test name one file; revoking it would take stable away from everybody."""
    first = roll_out(repository, "main", "cats@1", ALL, Known()).candidate
    second = roll_out(
        repository, "main", "cats@2", ALL, Known(committed=frozenset({first.manifest}))
    ).candidate
    revoked = set(revert_and_revoke(repository, "main").plan.revoked)
    assert revoked == {second.manifest}
    assert revoked.isdisjoint(digests(repository, first))


def test_without_a_stable_release_everything_of_the_candidate_is_revoked(repository):
    first = roll_out(repository, "main", "cats@1", ALL, Known()).candidate
    done = revert_and_revoke(repository, "main")
    assert done.plan.stable is None
    assert set(done.plan.revoked) == {first.manifest, Digest("ab" * 32)}


def test_streams_do_not_touch_each_other(repository):
    roll_out(repository, "main", "cats@1", ALL, Known())
    roll_out(repository, "beta", "cats@2", ALL, Known())
    revert(repository, "beta")
    assert (repository.plan("main").serial, repository.plan("beta").serial) == (1, 2)


@pytest.mark.parametrize("stream", ["a/b", "", "*"])
def test_a_stream_that_is_no_name_is_refused_before_anything_is_signed(repository, stream):
    before = repository.publication()
    with pytest.raises(Refused, match="devices would not accept this plan"):
        roll_out(repository, stream, "cats@1", ALL, Known())
    assert repository.publication() == before
