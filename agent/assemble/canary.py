"""The canary process put together."""

import logging

from msgspec import Struct

log = logging.getLogger(__name__)


class CanarySettings(Struct, frozen=True, kw_only=True):
    """What a canary takes from the configuration; the candidate arrives through the pipe."""

    verbose: bool = False


def run(settings: CanarySettings) -> int:
    """Answer the supervisor's questions until it has no more."""
    from agent.adapters import cage_linux

    # Before any import starts threads (numpy's does): it holds for this thread and those that it starts.
    cage = cage_linux.close(network=False)
    from agent.adapters.clock_system import SystemClock
    from agent.adapters.pipe_stdio import StdioPipe, become_child
    from agent.assemble import logs
    from agent.assemble.worker import runtime
    from agent.loops.child.canary import Canary
    from agent.wire import ipc

    become_child()
    pipe = StdioPipe(ipc.to_canary)
    logs.start(verbose=settings.verbose)
    log.info("cage.closed", extra=cage.in_words())
    Canary(pipe, SystemClock(), runtime).run()
    return 0
