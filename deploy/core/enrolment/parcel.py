"""What is carried to a device: a few files, and the lines that put them in their place.

The lines are a POSIX shell script for root. It replaces each file at once and keeps the configuration that
was there; secrets travel on standard input, so that no list of processes shows them.
"""

import base64
import gzip
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PLACE: Final = "/etc/shoal"
STATE: Final = "/var/lib/shoal"
CONFIGURATION: Final = "agent.toml"


@dataclass(frozen=True, slots=True)
class Parcel:
    """Files by the names that they have in the device's folder."""

    device: str
    files: Mapping[str, bytes]


def script(parcel: Parcel) -> str:
    """To be run by root on the device; `SHOAL_ETC` is another folder to put the files into."""
    puts = "\n".join(_put(name, content) for name, content in sorted(parcel.files.items()))
    return _SCRIPT.format(device=parcel.device, place=PLACE, configuration=CONFIGURATION, puts=puts)


def paste(parcel: Parcel) -> str:
    """The script as one line for a shell on the device. It begins with a blank: a shell that is set up as
    Debian's keeps such a line out of its history.
    """
    packed = base64.b64encode(gzip.compress(script(parcel).encode(), mtime=0)).decode()
    return f" printf %s {packed} | base64 -d | gunzip | sudo sh"


def over_ssh(script_path: str, device: str) -> str:
    """The line that does the same from here."""
    return f"ssh pi@{device} 'sudo sh' < {shlex.quote(script_path)}"


def _put(name: str, content: bytes) -> str:
    encoded = base64.encodebytes(content).decode().strip()
    return f"put {name} <<'END'\n{encoded}\nEND"


_SCRIPT = """\
# Makes this machine the device {device} of a Shoal fleet. It holds the device's secrets.
set -eu
umask 077
etc="${{SHOAL_ETC:-{place}}}"
group=root
if [ "$(id -u)" = 0 ] && getent group shoal >/dev/null; then group=shoal; fi
mkdir -p "$etc"
own() {{ [ "$(id -u)" != 0 ] || chown "root:$group" "$1"; }}
own "$etc"
chmod 0750 "$etc"
if [ -e "$etc/{configuration}" ]; then cp -p "$etc/{configuration}" "$etc/{configuration}.before"; fi
put() {{
    base64 -d > "$etc/.$1.new"
    own "$etc/.$1.new"
    chmod 0640 "$etc/.$1.new"
    mv -f "$etc/.$1.new" "$etc/$1"
}}
{puts}
sync
if [ -z "${{SHOAL_ETC:-}}" ] && [ -d /run/systemd/system ]; then
    systemctl enable shoal-agent && systemctl restart shoal-agent
fi
echo "this is {device} now: shoal-agent check --config $etc/{configuration}"
"""
