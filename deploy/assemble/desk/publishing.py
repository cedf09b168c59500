"""Brings what the workspace holds onto the broker."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from agent.core.update import provision
from agent.ports.link import Link
from agent.wire.documents import Artifact, Manifest, ReleaseRef
from agent.wire.errors import ConfigError, PortError, Unavailable
from deploy.adapters import lock_file
from deploy.adapters.repository_tuf import TufRepository
from deploy.adapters.repository_tuf.keys import Role
from deploy.adapters.workspace import ArtifactFolder, Workspace
from deploy.assemble.desk import workspaces
from deploy.assemble.desk.session import Session, connected
from deploy.core import fence
from deploy.core.fence import Place
from deploy.core.release.chunking import Parcel
from deploy.flows import fence as read_fence
from deploy.flows import publish
from deploy.flows.fence import Patience
from deploy.ports.repository import Publication, Repository

OnProgress = Callable[[int, int], None]
_PATIENCE = Patience()


def publish_release(workspace: Workspace, manifest: Manifest, on_progress: OnProgress) -> None:
    """The release's files, and all metadata.

    Raises:
        PortError: the broker cannot be reached, or does not keep what it acknowledged.
        ConfigError: a setting is wrong.
    """
    with signed_already(), connected(workspace) as session:
        send(session, workspace, workspaces.open_repository(workspace), (manifest,), on_progress)


def publish_everything(workspace: Workspace, on_progress: OnProgress) -> tuple[ReleaseRef, ...]:
    """Every release and all metadata; the releases.

    Raises:
        PortError: as `publish_release`.
        ConfigError: as `publish_release`.
    """
    repository = workspaces.open_repository(workspace)
    releases = repository.releases()
    with connected(workspace) as session:
        send(session, workspace, repository, manifests(repository, releases), on_progress)
    return releases


def sign(workspace: Workspace, on_progress: OnProgress) -> dict[str, datetime]:
    """A fresh timestamp, published with all metadata; when each role runs out.

    Raises:
        PortError: as `publish_release`.
        ConfigError: as `publish_release`, or the online keys are not at hand.
    """
    return _sign(workspace, None, TufRepository.sign_timestamp, on_progress)


def renew(workspace: Workspace, offline_keys: Path | None, on_progress: OnProgress) -> dict[str, datetime]:
    """As `sign`; what the offline keys sign is signed afresh too.

    Raises:
        PortError: as `publish_release`.
        ConfigError: as `sign`, or the offline keys are not at hand.
    """
    return _sign(workspace, offline_keys, TufRepository.renew, on_progress)


def rotate(
    workspace: Workspace, offline_keys: Path | None, role: Role, on_progress: OnProgress
) -> dict[str, datetime]:
    """Replace the keys of a role; devices follow by themselves.

    Raises:
        PortError: as `publish_release`.
        ConfigError: as `renew`.
    """
    return _sign(workspace, offline_keys, lambda repository: repository.rotate(role), on_progress)


def _sign(
    workspace: Workspace,
    offline_keys: Path | None,
    change: Callable[[TufRepository], None],
    on_progress: OnProgress,
) -> dict[str, datetime]:
    repository = workspaces.open_repository(workspace, offline_keys)
    change(repository)
    workspaces.write_root_of_trust(workspace, repository)
    with signed_already(), connected(workspace) as session:
        send(session, workspace, repository, (), on_progress)
    return {str(role): instant for role, instant in repository.expires().items()}


@contextmanager
def signed_already() -> Iterator[None]:
    """What fails in here fails after the signature, which stands: the operator must know that.

    Raises:
        Unavailable: the broker cannot be reached, or does not keep what it acknowledged.
    """
    try:
        yield
    except PortError as error:
        raise Unavailable(f"signed, but not published: {error}; shoal publish tries again") from error


def send(
    session: Session,
    workspace: Workspace,
    repository: Repository,
    files_of: Iterable[Manifest],
    on_progress: OnProgress,
) -> None:
    """The files of these releases over a session that stands, and then all metadata, as it is signed by then:
    files may take minutes, in which somebody else decides.

    Raises:
        Fenced: another copy of the workspace steers the fleet.
        PortError: as `publish_release`.
    """
    place(session, workspace, files_of, on_progress)
    with lock_file.acting(workspace.acting_lock):
        fence.require_ours(look(session, repository), str(workspace.folder))
        send_signed(session, repository, on_progress)


def send_signed(
    session: Session,
    repository: Repository,
    on_progress: OnProgress,
    standing: Publication | None = None,
) -> Publication:
    """All metadata, but what was read back before and never changes; while acting, or an older timestamp may
    come to stand over a newer one.

    Raises:
        PortError: as `publish_release`.
    """
    publication = repository.publication()
    new = publication if standing is None else _beyond(publication, standing)
    session.each(lambda link: publish.publish(link, session.root, new, (), on_progress))
    return publication


def _beyond(publication: Publication, standing: Publication) -> Publication:
    """Targets and versioned metadata are named by content or version: once is enough."""
    return replace(
        publication,
        targets=tuple(target for target in publication.targets if target not in standing.targets),
        metadata=tuple(each for each in publication.metadata if each not in standing.metadata),
    )


def look(session: Session, repository: Repository, patience: Patience = _PATIENCE) -> Place:
    """Where the brokers stand; to be asked while acting.

    Raises:
        PortError: nobody can tell.
    """
    return fence.worst(read_fence.look(link, session.root, repository, patience) for link in session.links)


def place(
    session: Session, workspace: Workspace, files_of: Iterable[Manifest], on_progress: OnProgress
) -> None:
    """The files of these releases, and nothing that names them.

    Raises:
        PortError: as `publish_release`.
    """
    folder = ArtifactFolder(workspace.artifacts)
    files = {file.digest: file for manifest in files_of for file in _files(manifest)}

    def place_on(link: Link) -> None:
        parcels = (_parcel(folder, file) for file in files.values())
        publish.place(link, session.root, parcels, on_progress)

    if files:
        session.each(place_on)


def manifests(repository: Repository, refs: Iterable[ReleaseRef | None]) -> tuple[Manifest, ...]:
    """The manifests of these releases.

    Raises:
        ConfigError: the repository has lost one.
    """
    found: list[Manifest] = []
    for ref in refs:
        if ref is None:
            continue
        manifest = repository.manifest(ref.name, ref.version)
        if manifest is None:
            raise ConfigError(f"the repository has lost the manifest of {ref.name}@{ref.version}")
        found.append(manifest)
    return tuple(found)


def _files(manifest: Manifest) -> tuple[Artifact, ...]:
    patches = (patch.artifact for variant in manifest.variants for patch in variant.patches)
    return (*provision.artifacts(manifest), *patches)


def _parcel(folder: ArtifactFolder, file: Artifact) -> Parcel:
    packed = {chunk.published: folder.get(chunk.published) for chunk in file.chunks if chunk.packed}
    return Parcel(file, folder.get(file.digest), packed)
