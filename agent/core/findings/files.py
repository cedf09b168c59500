"""The disk below the state folder, and who may read and write what."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.findings.finding import Facts, Finding, degraded, fatal, note, ok

INODES_LEAST: Final = 100
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds the state folder, or will hold it."""

    path: str
    free_bytes: int
    total_bytes: int
    free_inodes: int | None
    """None: this file system has no fixed number of them."""
    read_only: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, a folder or a device node."""

    path: str
    owner: str
    group: str
    mode: int
    """The permission bits."""
    readable: bool
    """By the user who examines."""
    writable: bool


@dataclass(frozen=True, slots=True)
class Missing:
    path: str


@dataclass(frozen=True, slots=True)
class Hidden:
    """It stands behind a folder that this user may not enter."""

    path: str


Place = Entry | Missing | Hidden


@dataclass(frozen=True, slots=True)
class State:
    """The state folder, what lies in it, and the nearest folder above it that exists."""

    folder: Place
    entries: tuple[Place, ...]
    nearest: Place


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: frozenset[str]
    root: bool = False


def disk(facts: Disk, floor_bytes: int) -> Finding:
    """
    Args:
        facts: of the file system.
        floor_bytes: device.free_floor_mib.
    """
    shown: Facts = {
        "path": facts.path,
        "free_bytes": facts.free_bytes,
        "total_bytes": facts.total_bytes,
        "free_inodes": -1 if facts.free_inodes is None else facts.free_inodes,
        "read_only": facts.read_only,
    }
    if facts.read_only:
        return fatal(
            "disk.read-only",
            f"the file system of {facts.path} is mounted read-only",
            "a worn or damaged card is remounted so: see dmesg, and replace it; else mount it for writing",
            shown,
        )
    if facts.free_inodes is not None and facts.free_inodes < INODES_LEAST:
        return fatal(
            "disk.inodes",
            f"the file system of {facts.path} has {facts.free_inodes} inodes left, so no file can be made",
            "delete many small files: df -i; du --inodes -d 3 / | sort -n",
            shown,
        )
    free = f"{facts.free_bytes // _MIB} MiB"
    if facts.free_bytes < floor_bytes:
        return degraded(
            "disk.full",
            f"{free} are free at {facts.path} and downloads must leave {floor_bytes // _MIB}, so none begins",
            "delete files there, or lower device.free_floor_mib",
            shown,
        )
    return ok("disk", f"{free} of {facts.total_bytes // _MIB} MiB are free at {facts.path}", shown)


def permissions(
    user: User, state: State, secrets: Sequence[Place], devices: Sequence[Entry]
) -> tuple[Finding, ...]:
    """
    Args:
        user: who examines; the answers are about this user.
        state: the state folder.
        secrets: password file and key, those that the configuration names.
        devices: the nodes of the cameras that the configuration may want; Edge TPUs have a diagnosis of
            their own.
    """
    found = [*_state(user, state), *_secrets(secrets), *_devices(user, devices)]
    if user.root:
        found.append(
            note(
                "permissions.root",
                "root may read and write everything, so this says nothing of the service's user",
                "examine as that user: sudo -u shoal shoal-agent check",
            )
        )
    return tuple(found) or (ok("permissions", f"{user.name} may use all that the agent needs"),)


def _state(user: User, state: State) -> list[Finding]:
    folder = state.folder
    if isinstance(folder, Missing):
        if _open(state.nearest):
            return []
        cause = f"{folder.path} does not exist, and {user.name} may not make it in {state.nearest.path}"
        remedy = f"sudo install -d -m 750 -o {user.name} {folder.path}"
        return [fatal("permissions.state-missing", cause, remedy, {"path": folder.path})]
    barred = next((place for place in (folder, *state.entries) if not _open(place)), None)
    if barred is None:
        return []
    owner = f" (it belongs to {barred.owner})" if isinstance(barred, Entry) else ""
    return [
        fatal(
            "permissions.state",
            f"{user.name} may not read and write {barred.path}{owner}",
            f"run as the user it belongs to, or: sudo chown -R {user.name} {folder.path}",
            {"path": barred.path},
        )
    ]


def _open(place: Place) -> bool:
    return isinstance(place, Entry) and place.readable and place.writable


def _secrets(secrets: Sequence[Place]) -> list[Finding]:
    found = []
    for place in secrets:
        facts: Facts = {"path": place.path}
        if isinstance(place, Missing):
            remedy = "make it, or correct its path in [broker]"
            found.append(fatal("permissions.secret-missing", f"{place.path} does not exist", remedy, facts))
        elif isinstance(place, Hidden) or not place.readable:
            remedy = "let the service's user read it, or have systemd hand it over (LoadCredential=)"
            found.append(fatal("permissions.secret", f"{place.path} cannot be read", remedy, facts))
        elif place.mode & stat.S_IROTH:
            cause = f"everybody on this machine may read the secret {place.path} (mode {place.mode:o})"
            found.append(degraded("permissions.world-readable", cause, f"chmod 600 {place.path}", facts))
    return found


def _devices(user: User, devices: Sequence[Entry]) -> list[Finding]:
    """One finding a group: a camera has a dozen nodes."""
    barred = [device for device in devices if not (device.readable and device.writable)]
    groups = dict.fromkeys(device.group for device in barred)
    return [_barred(user, group, [d.path for d in barred if d.group == group]) for group in groups]


def _barred(user: User, group: str, paths: list[str]) -> Finding:
    shown = f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}"
    facts: Facts = {"group": group, "paths": " ".join(paths), "user": user.name}
    if group == "root":
        return degraded(
            "permissions.udev",
            f"{shown} belongs to root alone: no udev rule gives it to a group",
            "on Raspberry Pi OS the group is video: apt install --reinstall raspberrypi-sys-mods, and reboot",
            facts,
        )
    if group in user.groups:
        return degraded(
            "permissions.mode",
            f"{shown} is closed even to its group {group}, to which {user.name} belongs",
            f"see which udev rule sets its mode: udevadm test $(udevadm info -q path {paths[0]})",
            facts,
        )
    return degraded(
        "permissions.group",
        f"{shown} is for the group {group}, to which {user.name} does not belong",
        f"sudo usermod -aG {group} {user.name}, then log in again or restart the service",
        facts,
    )
