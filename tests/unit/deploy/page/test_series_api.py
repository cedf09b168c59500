"""What many ask of the series at once is read once."""

import asyncio
import threading

import pytest
from starlette.requests import Request

from agent.wire.errors import StoreFailed
from deploy.page.series_api import SHARED_MAX, SeriesApi


class Disk:
    """Answers when it is let."""

    def __init__(self, fault=None):
        self.reads, self.fault = 0, fault
        self.answers = threading.Event()

    def latency(self, *_):
        self.reads += 1
        assert self.answers.wait(30.0)
        if self.fault is not None:
            raise self.fault
        return {}


def asked(disk, queries, times=1):
    """The statuses of these requests, all made before the first is answered, so many times."""
    api = SeriesApi(disk, None)
    [ask] = [route.endpoint for route in api.routes() if route.path == "/api/series/latency"]

    def request(query):
        said = {"type": "http", "path": "/api/series/latency", "query_string": query.encode(), "headers": []}
        return Request(said | {"server": ("localhost", 80), "scheme": "http"})

    async def every():
        found = []
        for _ in range(times):
            asking = [asyncio.ensure_future(ask(request(query))) for query in queries]
            await asyncio.sleep(0)
            disk.answers.set()
            found += await asyncio.gather(*asking, return_exceptions=True)
        return [getattr(one, "status", 200) for one in found]

    return asyncio.run(every())


@pytest.mark.parametrize(
    ("queries", "reads"),
    [
        (["stage=invoke"] * 20, 1),
        (["stage=invoke", "stage=age"] * 20, 2),
        ([f"stage=invoke&release=a@{n}" for n in range(SHARED_MAX + 5)], SHARED_MAX + 5),
    ],
)
def test_who_asks_the_same_at_once_is_given_one_answer(queries, reads):
    disk = Disk()
    assert asked(disk, queries) == [200] * len(queries)
    assert disk.reads == reads


def test_a_refusal_is_told_to_all_who_wait_and_kept_for_nobody():
    disk = Disk(StoreFailed("the disk is full"))
    assert asked(disk, ["stage=invoke"] * 3, times=2) == [503] * 6
    assert disk.reads == 2
