"""Whoever carries out work with TensorFlow."""

from collections.abc import Callable
from typing import Protocol

from deploy.core.factory.orders import Answer, Order
from deploy.core.factory.words import Progress

OnProgress = Callable[[Progress], None]


class Factory(Protocol):
    def carry_out(self, order: Order, on_progress: OnProgress) -> Answer:
        """
        Raises:
            Refused: the order cannot be carried out as given, or the libraries for it are not installed.
            FactoryDied: the process ended without an answer.
        """
        ...
