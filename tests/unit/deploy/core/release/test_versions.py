import pytest

from agent.wire.documents import ReleaseRef
from deploy.core.refusal import Refused
from deploy.core.release import versions


def refs(*named):
    return [ReleaseRef(name=n, version=v, manifest="0" * 64) for n, v in (text.split("@") for text in named)]


def test_versions_are_ordered_as_people_read_them():
    ordered = ["0.9", "1.0-rc1", "1.0-rc2", "1.0", "1.0.1", "1.2", "1.10", "2", "2024.1.1"]
    assert sorted(set(ordered), key=versions.key) == ordered


@pytest.mark.parametrize(
    ("wanted", "version"), [("birds", "1.10.0"), ("birds@1.9.0", "1.9.0"), ("cats", "1.0.0")]
)
def test_a_name_alone_means_its_newest_version(wanted, version):
    known = refs("birds@1.9.0", "birds@1.10.0", "birds@1.10.0-rc1", "cats@1.0.0")
    assert versions.choose(known, wanted).version == version


@pytest.mark.parametrize(
    ("known", "wanted", "said"),
    [
        ([], "birds", "nothing was released yet"),
        (["birds@1.0.0"], "brids", "did you mean 'birds'"),
        (["birds@1.9.0", "birds@1.10.0"], "birds@2", "released are 1.9.0, 1.10.0"),
    ],
)
def test_an_unknown_release_is_refused_with_what_there_is(known, wanted, said):
    with pytest.raises(Refused, match=said):
        versions.choose(refs(*known), wanted)
