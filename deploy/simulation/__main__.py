"""A process that holds devices: `python -m deploy.simulation POST`, words on standard input, a line each."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Final

import msgspec

from deploy.simulation.holding import Holding
from deploy.simulation.telling import Finish, Post, Said, Word

SAMPLE_EVERY_S: Final = 0.5


def main() -> None:
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    asyncio.run(_hold(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Post)))


async def _hold(post: Post) -> None:
    """Until it is told to finish, or nobody listens any more."""
    holding = Holding(post)
    heard = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(heard), sys.stdin)
    sampling = asyncio.create_task(_sample(holding))
    starting = asyncio.create_task(holding.switch_on())
    while line := await heard.readline():
        match msgspec.json.decode(line, type=Word):
            case Finish():
                break
            case word:
                holding.hear(word)
    starting.cancel()
    sampling.cancel()
    _say(await holding.switch_off())


async def _sample(holding: Holding) -> None:
    while True:
        _say(holding.sample())
        await asyncio.sleep(SAMPLE_EVERY_S)


def _say(said: Said) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
