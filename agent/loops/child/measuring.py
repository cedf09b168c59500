"""How long models take, side by side in one process."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from agent.core.telemetry.latency import nearest_rank
from agent.loops.child.loading import OpenRuntime, Refusal, open_model
from agent.ports.clock import Clock
from agent.ports.runtime import Model
from agent.wire.errors import ModelUnloadable
from agent.wire.ipc import ModelSpec

ROUNDS_MAX: Final = 25
QUANTILE: Final = 0.25
"""Other processes only ever make an invocation longer, so the lower end says more of the model."""


def measure(
    specs: Sequence[ModelSpec],
    loaded: dict[ModelSpec, Model],
    open_runtime: OpenRuntime,
    clock: Clock,
    budget_s: float,
) -> tuple[float | None, ...]:
    """Milliseconds that one invocation takes, of each model; None for one that cannot be had, or whose turn
    did not come.

    They take turns, so that what else the host does is shared out evenly. The first invocation of a model is
    slower than all others; it counts only where there was no time for a second one.

    Args:
        specs: the first ones have the first turns.
        loaded: models that are there already.
        open_runtime: the runtime by its name.
        clock: for durations.
        budget_s: for all invocations together; exceeded by at most one.
    """
    models = [loaded.get(spec) or _opened(spec, open_runtime, clock) for spec in specs]
    times_ms: list[list[float]] = [[] for _ in specs]
    until_ns = clock.monotonic_ns() + round(budget_s * 1e9)
    for _ in range(1 + ROUNDS_MAX):
        for index, model in enumerate(models):
            if model is not None and clock.monotonic_ns() < until_ns:
                took_ms = _invoke(model, clock)
                if took_ms is None:
                    models[index] = None
                else:
                    times_ms[index].append(took_ms)
    return tuple(
        None if model is None or not times else nearest_rank(times[1:] or times, QUANTILE)
        for model, times in zip(models, times_ms, strict=True)
    )


def _opened(spec: ModelSpec, open_runtime: OpenRuntime, clock: Clock) -> Model | None:
    opened = open_model(spec, open_runtime, clock)
    return None if isinstance(opened, Refusal) else opened.model


def _invoke(model: Model, clock: Clock) -> float | None:
    tensor = np.zeros(model.input.shape, model.input.dtype.value)
    began_ns = clock.monotonic_ns()
    try:
        model.invoke(tensor)
    except ModelUnloadable:
        return None
    return (clock.monotonic_ns() - began_ns) / 1e6
