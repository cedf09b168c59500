"""The two ends of the pipe between the supervisor and a child process."""

from typing import Protocol, TypeVar

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class Child(Protocol[In_contra, Out_co]):
    """The supervisor's end: a running process that is fed messages and answers with messages."""

    @property
    def pid(self) -> int: ...

    def send(self, message: In_contra) -> None:
        """Never waits; nothing happens if the process is gone, which `receive` tells."""
        ...

    async def receive(self) -> Out_co | None:
        """The next message; None once the process has closed its end, or sent what is no message."""
        ...

    def kill(self) -> None:
        """At once, without a chance to say goodbye. Idempotent."""
        ...

    async def ended(self) -> str:
        """Wait for the process, reap it, and say how it ended: "killed by SIGSEGV", "exit status 1"."""
        ...

    async def close(self) -> None:
        """Ask it to end, kill it after a second, reap it. Idempotent."""
        ...


class Pipe(Protocol[In_contra, Out_co]):
    """The child's end, the mirror image: the child sends to the supervisor and receives from it.

    `receive` and `send` are each used by one thread.
    """

    def send(self, message: In_contra) -> None:
        """Wait until the supervisor's pipe has taken it; nothing happens if the supervisor is gone."""
        ...

    def receive(self) -> Out_co | None:
        """Wait for the next message; None once the supervisor is gone, or sends what is no message."""
        ...
