"""The figures of releases, read from their manifests."""

from collections.abc import Iterable, Iterator

from agent.wire.documents import ReleaseRef
from deploy.core.release import scored
from deploy.ports.repository import Repository


def of_release(repository: Repository, ref: ReleaseRef) -> str:
    """In words; empty where the repository has no such release, or it has no figures."""
    manifest = repository.manifest(ref.name, ref.version)
    return "" if manifest is None else scored.in_words(manifest.evaluation)


def told(repository: Repository, releases: Iterable[str]) -> Iterator[str]:
    """A line for each of these releases, `NAME@VERSION`, that has figures."""
    refs = {f"{ref.name}@{ref.version}": ref for ref in repository.releases()}
    for name in sorted(refs.keys() & set(releases)):
        words = of_release(repository, refs[name])
        if words:
            yield f"{name}: {words}"
