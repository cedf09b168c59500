"""The canary process put together."""


def run() -> int:
    """Answer the supervisor's questions until it has no more."""
    from agent.assemble.children import child
    from agent.wire import ipc

    pipe = child.begin(ipc.to_canary)
    from agent.adapters.clock_system import SystemClock
    from agent.assemble.children.worker import runtime
    from agent.loops.child.canary import Canary

    Canary(pipe, SystemClock(), runtime).run()
    return 0
