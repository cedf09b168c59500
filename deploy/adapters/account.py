"""Who runs this command."""

import getpass
import os


def name() -> str:
    """The account's name; its number where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        return f"uid-{os.getuid()}"
