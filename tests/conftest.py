import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from deploy.adapters.broker_local import BrokerKind, LocalBroker, start_broker
from tests.brokers import require
from tests.edgetpu_sim.simulator import Libraries, Simulator, build

# A law holds on a slow machine too: time is not what these tests are about. CI repeats its examples, so that
# a change is judged by itself; a person's run looks further each time.
settings.register_profile(
    "shoal", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shoal")


@pytest.fixture(scope="session")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[BrokerKind], LocalBroker]]:
    """One broker of a kind for the whole session, started when it is first asked for."""
    running: dict[BrokerKind, LocalBroker] = {}
    with ExitStack() as stack:

        def broker(kind: BrokerKind) -> LocalBroker:
            require(kind)
            if kind not in running:
                folder = tmp_path_factory.mktemp(kind)
                running[kind] = stack.enter_context(start_broker(folder, kind=kind))
            return running[kind]

        yield broker


@pytest.fixture(params=list(BrokerKind), ids=str)
def broker(request: pytest.FixtureRequest, brokers: Callable[[BrokerKind], LocalBroker]) -> LocalBroker:
    """Each kind of broker in turn, shared by the session: use topics of your own."""
    return brokers(request.param)


@pytest.fixture(scope="session")
def any_broker(brokers: Callable[[BrokerKind], LocalBroker]) -> LocalBroker:
    """One broker for tests that need just one, shared by the session: use topics of your own."""
    return brokers(BrokerKind.EMBEDDED)


@pytest.fixture(scope="session")
def edgetpu_libraries(tmp_path_factory: pytest.TempPathFactory) -> Libraries:
    return build(tmp_path_factory.mktemp("libedgetpu"))


@pytest.fixture
def edgetpus(
    edgetpu_libraries: Libraries, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Simulator:
    """Simulated Edge TPUs for this process and its children, none of them plugged in yet."""
    return Simulator(edgetpu_libraries, tmp_path_factory.mktemp("edgetpus"), monkeypatch.setenv)
