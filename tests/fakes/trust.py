"""A `Trust` that has read what the test wrote into it."""

from threading import Event

from agent.wire import codec
from agent.wire.documents import Manifest, Plan, ReleaseRef
from agent.wire.errors import AgentError, Untrusted
from agent.wire.topics import Digest, sha256

DEADLINE_S = 5.0


class ScriptedTrust:
    """Gives the plan and the manifests that were signed here, or raises the fault that is set."""

    def __init__(self) -> None:
        self.signed: Plan | None = None
        self.refresh_fault: AgentError | None = None
        self.plan_fault: AgentError | None = None
        self.manifest_fault: AgentError | None = None
        self.refreshes = 0
        self.open = Event()
        """Cleared: `refresh` waits for it, as for a slow broker."""
        self.open.set()
        self._manifests: dict[Digest, bytes] = {}

    def release(self, manifest: Manifest) -> ReleaseRef:
        content = codec.encode(manifest)
        self._manifests[sha256(content)] = content
        return ReleaseRef(name=manifest.name, version=manifest.version, manifest=sha256(content))

    def refresh(self) -> None:
        self.refreshes += 1
        assert self.open.wait(DEADLINE_S), "the test never let the refresh go on"
        if self.refresh_fault is not None:
            raise self.refresh_fault

    def plan(self, stream: str) -> Plan | None:
        if self.plan_fault is not None:
            raise self.plan_fault
        return self.signed if self.signed is not None and self.signed.stream == stream else None

    def manifest(self, ref: ReleaseRef) -> tuple[Manifest, bytes]:
        if self.manifest_fault is not None:
            raise self.manifest_fault
        content = self._manifests.get(ref.manifest)
        if content is None:
            raise Untrusted(f"models/{ref.name}/{ref.version}.json is not signed by the models role")
        return codec.decode(content, Manifest), content
