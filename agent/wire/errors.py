"""What went wrong, by what the catcher should do about it.

AgentError
├─ WireError    a document is wrong          -> refuse, report, keep serving
├─ PortError    the world outside failed     -> back off and retry
└─ ConfigError  a person must edit a file    -> exit 78, the service manager does not restart
"""


class AgentError(Exception):
    """Never raised itself."""


class WireError(AgentError):
    """A document cannot be accepted; the sender's next one may be right."""


class Malformed(WireError):
    """The bytes do not decode into the document they claim to be."""


class TooLarge(WireError):
    """The document is longer than its kind may be."""


class UnknownSchema(WireError):
    """The document's schema major is newer than this program."""


class Untrusted(WireError):
    """Signatures, versions or expiry do not allow the document."""


class Stale(Untrusted):
    """The metadata has expired: nothing may be installed, what runs keeps running."""


class PortError(AgentError):
    """Something outside the process failed; trying again later may help."""


class LinkDown(PortError):
    """The broker cannot be reached, or went away."""


class Unavailable(PortError):
    """The broker was reached, but did not deliver what was asked for in time."""


class CameraFailed(PortError):
    """No frame can be had."""


class CameraBusy(CameraFailed):
    """Another process has the camera."""


class CameraFrozen(CameraFailed):
    """It is there, and gives no new frame."""


class StoreFailed(PortError):
    """The disk refused a read or a write."""


class DiskFull(StoreFailed):
    """Writing would leave less free space than the floor allows."""


class ModelUnloadable(PortError):
    """A runtime refuses the model; the message is the runtime's own reason."""


class DelegateUnavailable(ModelUnloadable):
    """The Edge TPU cannot be opened: absent, busy, not permitted. That says nothing against the model."""


class RuntimeMissing(PortError):
    """No TFLite runtime that this host could use is installed."""


class ConfigError(AgentError):
    """A person must change a file or an option before this can work."""
