"""A stored release as a child process needs it: read back from the store, with paths for digests."""

from dataclasses import dataclass

from agent.core.lifecycle import Fitted
from agent.ports.store import Store
from agent.wire import codec
from agent.wire.documents import Manifest
from agent.wire.errors import StoreFailed
from agent.wire.ipc import ModelSpec
from agent.wire.topics import Digest


@dataclass(frozen=True, slots=True)
class Engine:
    """What a model is run with, from the configuration."""

    runtime: str
    threads: int


@dataclass(frozen=True, slots=True)
class Shelf:
    store: Store
    engine: Engine

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

    def spec(self, release: Fitted, manifest: Manifest) -> ModelSpec:
        labels = manifest.labels
        return ModelSpec(
            name=release.name,
            version=release.version,
            manifest=release.manifest,
            digest=release.variant,
            model_path=str(self.store.path(release.variant)),
            labels_path=None if labels is None else str(self.store.path(Digest(labels.digest))),
            input=manifest.input,
            output=manifest.output,
            runtime=self.engine.runtime,
            threads=self.engine.threads,
        )
