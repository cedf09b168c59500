"""Traps of TUF over MQTT: what verifies is one library, pinned, and used in one place."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from agent.wire.errors import Malformed, PortError, WireError
from deploy.adapters.repository_tuf.keys import Role
from tests.fakes.operator import manifest
from tests.scenario.trust_traps.steps import listed

HOUSE = Path(__file__).parents[3]

# 13: nothing verified by hand.


@pytest.mark.parametrize("topic", ["timestamp", "3.snapshot", "1.targets", "2.models", "2.rollouts"])
def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(operator, home, topic):
    """Trap 13: signatures cover every byte that means something."""
    content = operator.broker.retained[operator.root.meta(topic)]
    for place in range(0, len(content), 23):
        spoilt = bytearray(content)
        spoilt[place] ^= 0x01
        operator.put(operator.root.meta(topic), bytes(spoilt))
        device = operator.device(home / str(place))
        try:
            device.refresh()
            plan = device.plan("home")
            assert device.manifest(plan.stable)[0] == manifest()
        except (WireError, PortError):
            continue
        assert plan == operator.repository.plan("home")


_WITHOUT_CRYPTOGRAPHY = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "cryptography":
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from agent.adapters.trust_tuf import TufTrust
from agent.wire.topics import root
from agent.wire.errors import Untrusted
from tests.fakes.clock import FakeClock
from tests.fakes.link import MemoryBroker, MemoryLink
assert "numpy" not in sys.modules, "numpy"
folder = Path(sys.argv[1])
broker = MemoryBroker()
for file in (folder / "topics").rglob("*"):
    if file.is_file():
        broker.publish(str(file.relative_to(folder / "topics")), file.read_bytes(), retain=True)
link = MemoryLink(broker)
link.open(lambda _: None)
pinned = (folder / "root").read_bytes()
trust = TufTrust(link, root("shoal/home"), folder / "device", pinned, FakeClock(), 0.05)
trust.refresh()
plan = trust.plan("home")
print(plan.serial, trust.manifest(plan.stable)[0].name)
stamp = broker.retained["shoal/home/meta/timestamp"]
at = stamp.index(b'"sig":"') + 7
broker.publish("shoal/home/meta/timestamp", stamp[:at] + b"00000000" + stamp[at + 8:], retain=True)
try:
    trust.refresh()
except Untrusted:
    print("refused")
assert "cryptography" not in sys.modules
"""


def test_a_device_without_cryptography_and_numpy_verifies_and_refuses(operator, tmp_path):
    """Trap 13: by the library's own pure Python fallback."""
    for topic, content in operator.broker.retained.items():
        path = tmp_path / "topics" / topic
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "root").write_bytes(operator.pinned)
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_CRYPTOGRAPHY, str(tmp_path)],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["1", "cats", "refused"]), done.stderr


# 14: TUF's client is pinned and used in one place.


def test_the_major_version_of_tuf_is_the_one_whose_private_name_is_used():
    """Trap 14."""
    assert importlib.metadata.version("tuf").partition(".")[0] == "7"


def test_one_line_of_the_device_reaches_into_tuf():
    """Trap 14."""
    package = HOUSE / "agent/adapters/trust_tuf"
    private = [
        node.attr
        for path in package.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    ]
    assert private == ["_trusted_set"]


def test_only_the_trust_adapter_imports_tuf():
    """Trap 14."""
    users = {
        path.relative_to(HOUSE).parts[2]
        for path in (HOUSE / "agent").rglob("*.py")
        if "from tuf" in path.read_text() or "import tuf" in path.read_text()
    }
    assert users == {"trust_tuf"}


def test_malformed_is_what_a_digest_that_is_none_gets(operator, home):
    """Trap 11: signed by a thief, but no topic."""

    def change(state):
        listed(state.rollouts.signed, "rollouts/home.json", b"x")
        state.rollouts.signed.targets["rollouts/home.json"].hashes = {"sha256": "+/#"}
        return {Role.ROLLOUTS}

    operator.thief(change)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Malformed):
        device.plan("home")
