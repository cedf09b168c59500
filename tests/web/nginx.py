"""An nginx with the very blocks of the recipe, on loopback ports of its own."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.docs import blocks

RECIPE = blocks.ROOT / "docs/recipes/reverse-proxy.md"
READY_S = 30.0
_FRAME = """\
daemon off;
master_process off;
error_log {folder}/error.log;
pid {folder}/pid;
events {{}}
http {{
    types {{}}
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""


def nginx_path() -> str | None:
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
    return os.environ.get("SHOAL_NGINX") or shutil.which("nginx", path=places)


def servers() -> str:
    """What the recipe says, in its order."""
    return "\n".join(block.text for block in blocks.blocks(RECIPE) if block.language == "nginx")


def here(configuration: str, folder: Path, port: int, upstreams: Mapping[int, str]) -> str:
    """The same with this port instead of 443, a certificate in the folder, and these pages behind it."""
    said = re.sub(r"listen 443\b", f"listen 127.0.0.1:{port}", configuration)
    # Browsers take any name below it for this machine.
    said = said.replace(".example;", ".localhost;")
    said = re.sub(r"(ssl_certificate(?:_key)?) \S+/(\S+);", rf"\1 {folder}/\2;", said)
    for named, place in upstreams.items():
        said = said.replace(f"127.0.0.1:{named}", place)
    return said


@contextlib.contextmanager
def running(folder: Path, port: int, upstreams: Mapping[int, str]) -> Iterator[None]:
    found = nginx_path()
    if found is None:
        pytest.skip("needs nginx: apt install nginx-light, or name it in SHOAL_NGINX")
    _certify(folder)
    file, log = folder / "nginx.conf", folder / "error.log"
    file.write_text(_FRAME.format(folder=folder, servers=here(servers(), folder, port, upstreams)))
    with subprocess.Popen([found, "-p", folder, "-e", log, "-c", file]) as process:
        try:
            _await(process, folder / "pid", log)
            yield
        finally:
            process.terminate()


def _await(process: "subprocess.Popen[bytes]", up: Path, log: Path) -> None:
    """It writes its number once it listens."""
    ends = time.monotonic() + READY_S
    while not up.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < ends, log.read_text()
        time.sleep(0.02)


def _certify(folder: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", folder / "shoal.key", "-out", folder / "shoal.pem", "-days", "2", "-subj", "/CN=home"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
