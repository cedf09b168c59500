"""Why a broker is not to be had, by what a person would do about it."""

from enum import StrEnum


class Refusal(StrEnum):
    NAME = "name"
    """No host has this name."""
    UNRESOLVED = "unresolved"
    """The name cannot be looked up now."""
    NOBODY = "nobody"
    """Nothing listens there."""
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    CERTIFICATE = "certificate"
    TLS = "tls"
    FILE = "file"
    """One that the connection needs cannot be used."""
    CREDENTIALS = "credentials"
    PROTOCOL = "protocol"
    CLIENT_ID = "client-id"
    HUNG_UP = "hung-up"
    """Before it said whether it accepts."""
    OTHER = "other"
