from collections.abc import Iterator

import pytest

from deploy.adapters.broker_local import BrokerKind, LocalBroker
from tests.brokers import running


@pytest.fixture(scope="session", params=list(BrokerKind), ids=str)
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """Each kind of broker in turn, shared by the session: use topics of your own."""
    with running(tmp_path_factory.mktemp("broker"), request.param) as local:
        yield local


@pytest.fixture(scope="session")
def any_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """One broker for tests that need just one, shared by the session: use topics of your own."""
    with running(tmp_path_factory.mktemp("broker"), BrokerKind.EMBEDDED) as local:
        yield local
