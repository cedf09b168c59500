import pytest

from agent.wire.topics import DeviceId
from deploy.core.enrolment import orders
from deploy.core.enrolment.orders import Identity
from deploy.core.refusal import Refused
from deploy.core.rollouts.state import Fleet, Member
from deploy.core.rollouts.words import Enrolled, Expelled

PI, GONE = DeviceId("pi-1"), DeviceId("pi-2")
FLEET = Fleet(members={PI: Member(PI, ("a",), "cpu", sealed=True), GONE: Member(GONE, expelled=True)})


@pytest.mark.parametrize(
    "name", ["operator", "server", "site", "claim", "claim.3f", "claim.", "", "a/b", "+"]
)
def test_a_name_with_rights_of_its_own_or_none_at_all_is_no_device(name):
    with pytest.raises(Refused, match=r"device '"):
        orders.new_id(name)


@pytest.mark.parametrize("name", ["claims", "operator-1", "pi.7", "7"])
def test_other_names_are_devices(name):
    assert orders.new_id(name) == name


def test_tags_stand_once_and_in_order():
    assert orders.tags(["b", "a", "b"]) == ("a", "b")


@pytest.mark.parametrize("tag", ["", "a b", "a=b", "a,b"])
def test_a_tag_that_no_match_could_name_is_refused(tag):
    with pytest.raises(Refused, match="tag"):
        orders.tags([tag])


def test_enrolling_keeps_the_hardware_that_was_known():
    identity = Identity(PI, ("b",), "", "abc")
    assert orders.enrol(FLEET, identity, "ada", "moved") == (
        Enrolled(
            device=PI, tags=("b",), hardware="cpu", sealed=True, credential="abc", by="ada", why="moved"
        ),
    )


def test_a_member_is_expelled():
    assert orders.revoke(FLEET, PI, "ada", "stolen") == (Expelled(device=PI, by="ada", why="stolen"),)


@pytest.mark.parametrize(
    ("device", "words"), [("pi-1x", "did you mean 'pi-1'"), ("pi-2", "expelled before; shoal enrol pi-2")]
)
def test_who_is_no_member_cannot_be_expelled(device, words):
    with pytest.raises(Refused, match=words):
        orders.revoke(FLEET, DeviceId(device), "ada", "")


@pytest.mark.parametrize("device", [PI, GONE])
def test_who_claims_takes_nobodys_place(device):
    with pytest.raises(Refused, match="--as"):
        orders.unused(FLEET, device)


def test_who_was_expelled_is_told():
    assert orders.expelled(FLEET) == (GONE,)


@pytest.mark.parametrize(
    ("device", "wanted", "has"),
    [
        (PI, None, ("a",)),
        (PI, [], ()),
        (PI, ["b"], ("b",)),
        (GONE, None, ()),
        (DeviceId("new"), None, ()),
    ],
)
def test_a_device_that_is_enrolled_anew_keeps_its_tags_where_nothing_is_said_of_them(device, wanted, has):
    assert orders.tags_of(FLEET.members.get(device), wanted) == has
