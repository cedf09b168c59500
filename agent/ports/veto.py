"""The say of whoever uses the device."""

from typing import Protocol


class Veto(Protocol):
    def words(self) -> str | None:
        """Why nothing may be changed now; None: nobody objects. It never blocks for long, and never fails:
        where it cannot be known, nothing may be changed.
        """
        ...
