from agent.wire.documents import ReleaseRef
from agent.wire.topics import sha256
from deploy.core.release import patching


def refs(*versions: str, name: str = "birds") -> list[ReleaseRef]:
    return [ReleaseRef(name=name, version=v, manifest=sha256(v.encode())) for v in versions]


def test_the_release_before_is_the_newest_of_those_with_a_lower_version() -> None:
    known = [*refs("1.2", "1.10", "1.9", "2.0-rc1"), *refs("1.11", name="cats")]
    cases = {"1.2": None, "1.3": "1.2", "1.10": "1.9", "1.11": "1.10", "2.0": "2.0-rc1", "0.1": None}
    for version, before in cases.items():
        found = patching.before(known, "birds", version)
        assert (found and found.version) == before, version
