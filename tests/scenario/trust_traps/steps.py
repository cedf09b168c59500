"""What operator and device do again and again."""

from tuf.api.metadata import TargetFile

from agent.wire.documents import ReleaseRef
from agent.wire.topics import sha256
from tests.fakes.operator import DAY_S


def serial(trust):
    trust.refresh()
    return trust.plan("home").serial


def daily(operator, days):
    for _ in range(days):
        operator.clock.advance(DAY_S)
        operator.repository.sign_timestamp()
    operator.publish()


def cache(home):
    return sorted(p for p in home.rglob("*") if p.is_file() and not p.is_symlink())


def listed(signed, path, content):
    signed.targets[path] = TargetFile.from_data(path, content, ["sha256"])


def ref_to(content, version="9"):
    return ReleaseRef(name="cats", version=version, manifest=sha256(content))
