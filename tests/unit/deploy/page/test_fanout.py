import asyncio

from deploy.page import fanout
from deploy.page.fanout import Fanout


def run(scene):
    return asyncio.run(asyncio.wait_for(scene, 10.0))


def test_whoever_listens_is_told_all_from_the_first_word_on_and_together_what_came_together():
    async def scene():
        told = Fanout()
        listener = told.listen(lambda: b"now")
        heard = [await anext(listener)]
        told.tell(b"one")
        told.tell(b"")
        told.tell(b"two")
        heard.append(await anext(listener))
        told.tell(b"three")
        heard.append(await anext(listener))
        await listener.aclose()
        return heard, told.listeners

    assert run(scene()) == ([b"now", b"onetwo", b"three"], 0)


def test_one_that_reads_too_slowly_is_ended_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(fanout, "BACKLOG_MAX_BYTES", 10)

    async def scene():
        told = Fanout()
        slow, quick = told.listen(lambda: b"now"), told.listen(lambda: b"now")
        await anext(slow)
        await anext(quick)
        heard = []
        for _ in range(3):
            told.tell(b"12345")
            heard.append(await anext(quick))
        ended = await anext(slow, None)
        await quick.aclose()
        return heard, ended, told.listeners

    assert run(scene()) == ([b"12345"] * 3, None, 0)
