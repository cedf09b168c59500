"""The configuration of a Mosquitto that bears a fleet, 2.0.11 (Debian 12) and newer.

What its own defaults do to a fleet, measured on 2.0.11: retained messages reach the disk every 30 minutes, so
that `kill -9` brings back plans that were replaced; a reader is cut off after 1,000 queued messages without a
word; Nagle's algorithm holds every small answer for 40 ms.
"""

from dataclasses import dataclass
from typing import Final

from agent.wire.topics import COMMAND, Root
from deploy.core.enrolment.access import FOR_ALL, SAID_BY_DEVICES

PLACE: Final = "/etc/mosquitto/shoal"
STORE: Final = "/var/lib/mosquitto"
PORT: Final = 8883
SAVE_S: Final = 2
SITE_SAVE_S: Final = 60
"""A site's broker often stands on a card, and gets again from above what a power cut took."""
PACKET_MAX_BYTES: Final = 1_048_576
QUEUED_MAX: Final = 100_000
"""A megabyte of model is some 16 chunks, and the broker of a site is given all of them at once; what its
devices say while the one above is away waits there."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a broker keeps its files, and whom it listens to."""

    folder: str = PLACE
    """Of the certificates, the access list and the passwords."""
    store: str = STORE
    port: int = PORT
    address: str = ""
    """Empty: every address of the host."""
    password_port: int | None = None
    """A second listener, for devices with a password; None: there are none."""
    save_s: int = SAVE_S
    user: str = ""
    """Whom it runs as; empty: its own."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The broker that a site's broker is a cache of."""

    site: str
    host: str
    port: int
    tls: bool = True


def configuration(listening: Listening, bridge: str = "") -> str:
    """The whole mosquitto.conf."""
    passwords = ""
    if listening.password_port is not None:
        port = _at(listening, listening.password_port)
        passwords = _PASSWORDS.format(port=port, folder=listening.folder)
    user = f"user {listening.user}\n" if listening.user else ""
    return _WHOLE.format(
        per_listener="per_listener_settings true\n" if passwords else "",
        port=_at(listening, listening.port),
        folder=listening.folder,
        store=listening.store.rstrip("/"),
        save_s=listening.save_s,
        packet_bytes=PACKET_MAX_BYTES,
        queued=QUEUED_MAX,
        passwords=passwords,
        user=user,
        bridge=bridge,
    )


def bridge(upstream: Upstream, root: Root, folder: str) -> str:
    """The lines that make a broker a cache of another one: what is signed comes down and is kept, what
    devices say goes up. Either broker may be away.

    The bridge is itself a client of the upstream: the upstream's `max_queued_messages` must exceed the
    retained topics that it is sent, or the rest is dropped without a word.
    """
    down = [f"topic {root.everywhere(channel)} in 1" for channel in (*FOR_ALL, COMMAND)]
    up = [f"topic {root.everywhere(channel)} out {channel.qos.value}" for channel in SAID_BY_DEVICES]
    return _BRIDGE.format(
        site=upstream.site,
        host=upstream.host,
        port=upstream.port,
        topics="\n".join((*down, *up)),
        queued=QUEUED_MAX,
        tls=_BRIDGE_TLS.format(folder=folder) if upstream.tls else "",
    )


def install(listening: Listening) -> str:
    """A shell script for root on the broker's machine, to be run from the folder that was carried there. The
    broker is restarted where its configuration has changed, and else reads only who may do what.
    """
    return _INSTALL.format(place=listening.folder)


def _at(listening: Listening, port: int) -> str:
    return f"{port} {listening.address}".strip()


_WHOLE: Final = """\
# Mosquitto for a Shoal fleet, as shoal broker-config wrote it.
{per_listener}
# Whoever connects shows a certificate of the fleet's authority, and is called by its common name.
listener {port}
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
crlfile {folder}/crl.pem
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl
{passwords}
# What a PUBACK promised must outlive the process: a kill takes back the last {save_s} s at most (by default
# the last 30 minutes). The store is written whole each time, changed or not: 25 MB every 2 s are 1 TB a day,
# so on a card choose more with --save-s. Written at every change, a model of 25 MB would cost 4.7 GB.
persistence true
persistence_location {store}/
autosave_on_changes false
autosave_interval {save_s}

# Nagle's algorithm costs 40 ms for each window of chunks.
set_tcp_nodelay true
# Chunks are 64 KiB at most, and nothing else is longer than 256 KiB.
max_packet_size {packet_bytes}
# A reader with more waiting than this loses messages without a word; the brokers of sites read every chunk.
max_queued_messages {queued}
# No memory_limit: a broker at its limit refuses publishes, and the one that takes a model back with them.
# What a slow reader costs is bounded by its window of chunks and by max_queued_messages.
# No max_connections, but a file for each connection: for more than 900 devices let the unit have
# LimitNOFILE=65536. Its listen backlog is 100: devices come back spread over a minute.
{user}log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
{bridge}"""

_PASSWORDS: Final = """
# Devices with a password instead.
listener {port}
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
password_file {folder}/passwords
allow_anonymous false
acl_file {folder}/acl
"""

_BRIDGE: Final = """
# A cache of the broker above: what is signed comes down and stays, what devices say goes up. What is said
# while the broker above is away waits here, {queued} messages at most.
connection shoal-{site}
address {host}:{port}
{tls}bridge_protocol_version mqttv311
remote_clientid shoal-site-{site}
cleansession false
notifications false
try_private true
keepalive_interval 30
restart_timeout 2 30
{topics}
"""
_BRIDGE_TLS: Final = """\
bridge_cafile {folder}/ca.pem
bridge_certfile {folder}/site.pem
bridge_keyfile {folder}/site.key
"""

_INSTALL: Final = """\
# Puts a Shoal fleet's configuration into this machine's Mosquitto.
set -eu
umask 027
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p {place}
for file in "$here"/*; do
    name=$(basename "$file")
    case "$name" in install | mosquitto.conf) continue ;; esac
    cp "$file" "{place}/.$name.new"
    mv -f "{place}/.$name.new" "{place}/$name"
done
chown -R root:mosquitto {place}
chmod 0750 {place}
chmod 0640 {place}/*
conf=/etc/mosquitto/mosquitto.conf
if cmp -s "$here/mosquitto.conf" "$conf"; then
    systemctl reload mosquitto
else
    [ -e "$conf.before" ] || cp -p "$conf" "$conf.before"
    cp "$here/mosquitto.conf" "$conf"
    chmod 0644 "$conf"
    systemctl restart mosquitto
fi
"""
