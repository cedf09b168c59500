from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.web.browser import Visits, started


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One a module, and not one a session: the tests of other folders run loops of asyncio in this thread."""
    with started() as browser:
        yield browser


@pytest.fixture
def visits(chromium: Browser) -> Iterator[Visits]:
    """Pages in that browser; at the end of the test none of them may have complained."""
    opened = Visits(chromium)
    yield opened
    complaints = opened.close()
    assert not complaints, "\n".join(complaints)
