"""A stored release as a child process needs it: read back from the store, with paths for digests."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from agent.core.serving import tuning
from agent.core.serving.delegate import DelegateChoice
from agent.core.serving.failover import Offer
from agent.core.update.lifecycle import Fitted
from agent.loops.release.tuner import Tuner
from agent.ports.store import Store
from agent.wire import codec
from agent.wire.documents import Delegate, Manifest
from agent.wire.errors import StoreFailed
from agent.wire.ipc import EdgeTpu, ModelSpec
from agent.wire.topics import Digest


@dataclass(frozen=True, slots=True)
class Engine:
    """What a model is run with, from the configuration."""

    runtime: str
    threads: int
    """0: as many as were measured to be fastest."""
    wanted: DelegateChoice = DelegateChoice.AUTO
    edgetpu: EdgeTpu | None = None
    """How a compiled variant's Edge TPU is opened; None: as by default."""
    program: str = ""
    """Which installation of the agent runs it."""


@dataclass(frozen=True, slots=True)
class Shelf:
    store: Store
    engine: Engine
    tuner: Tuner
    why: Callable[[Fitted, Manifest], str]
    """In words, why it is this variant of the release; empty where the runtime's own words say it."""

    def manifest(self, release: Fitted) -> Manifest:
        """
        Raises:
            StoreFailed: it cannot be read.
            WireError: what stands there is no manifest.
        """
        path = self.store.path(release.manifest)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreFailed(
                f"could not read the manifest of {release.name} {release.version}, {path}: {error.strerror}"
            ) from error
        return codec.decode(content, Manifest)

    def offer(self, release: Fitted, manifest: Manifest, *, on_probation: bool = False) -> Offer:
        """What the worker is to serve: the variant that was chosen, unless the CPU was measured faster."""
        preferred = self.spec(release, manifest)
        fallback = self.twin(release, manifest)
        if fallback is None:
            return Offer(preferred, on_probation=on_probation)
        found = self.tuner.of(release)
        if found is None or self.engine.wanted is not DelegateChoice.AUTO or not tuning.prefers_cpu(found):
            return Offer(preferred, fallback, on_probation)
        words = f"the CPU is faster here than the Edge TPU; {tuning.in_words(found)}"
        return Offer(replace(fallback, choice=words), on_probation=on_probation)

    def spec(self, release: Fitted, manifest: Manifest) -> ModelSpec:
        """The variant that was chosen."""
        compiled = release.delegate is Delegate.EDGETPU
        return self._spec(release, manifest, release.variant, compiled=compiled)

    def twin(self, release: Fitted, manifest: Manifest) -> ModelSpec | None:
        """What stands in for it while its Edge TPU is away."""
        if release.twin is None:
            return None
        return self._spec(release, manifest, release.twin, compiled=False)

    def candidates(self, release: Fitted, manifest: Manifest) -> tuple[ModelSpec, ...]:
        """What is worth measuring of it: the variant for the CPU with so and so many threads, then the
        compiled one; nothing where there is nothing to choose.
        """
        cpu = release.twin if release.delegate is Delegate.EDGETPU else release.variant
        if cpu is None:
            return ()
        counts = self.tuner.counts if self.engine.threads == 0 else (self.engine.threads,)
        spec = self._spec(release, manifest, cpu, compiled=False)
        specs = [replace(spec, threads=count) for count in counts]
        if release.twin is not None:
            specs.append(self.spec(release, manifest))
        return tuple(specs) if len(specs) > 1 else ()

    def _spec(self, release: Fitted, manifest: Manifest, digest: Digest, *, compiled: bool) -> ModelSpec:
        labels, found = manifest.labels, self.tuner.of(release)
        why = "" if release.delegate is Delegate.EDGETPU else self.why(release, manifest)
        threads = self.engine.threads or (1 if found is None or compiled else tuning.best(found).threads)
        return ModelSpec(
            name=release.name,
            version=release.version,
            manifest=release.manifest,
            digest=digest,
            model_path=str(self.store.path(digest)),
            labels_path=None if labels is None else str(self.store.path(Digest(labels.digest))),
            input=manifest.input,
            output=manifest.output,
            runtime=self.engine.runtime,
            threads=threads,
            edgetpu=(self.engine.edgetpu or EdgeTpu()) if compiled else None,
            choice="; ".join(filter(None, (why, "" if found is None else tuning.in_words(found)))),
        )
