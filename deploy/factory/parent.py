"""What a source is to the factory once it is open, whichever library it comes from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deploy.core.factory.conversion.words import Convert, Signature

Arrays = Mapping[str, NDArray[np.generic]]
"""By the name of an input or output within its signature."""
Samples = Callable[[], Iterator[Arrays]]
"""The same every time that it is called."""


@dataclass(frozen=True, slots=True)
class Made:
    content: bytes
    converter: str
    """Name and version of what made it."""
    remarks: tuple[str, ...] = ()


class Parent(Protocol):
    """A trained model in float."""

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """At least one."""
        ...

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        """What the float model says, by name of output."""
        ...

    def convert(self, order: Convert, samples: Mapping[str, Samples]) -> Made:
        """
        Args:
            order: mode and what may be left in.
            samples: representative inputs by signature; empty where the mode needs none.

        Raises:
            Refused: the converter cannot; the sentence names the operator where there is one.
        """
        ...
