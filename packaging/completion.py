# ruff: noqa: INP001 -- a program of the build, no package
"""Prints what bash completes for a command of this checkout: completion.py PACKAGE COMMAND, run beside it."""

import sys
from importlib import import_module

_, package, command = sys.argv
sys.path.insert(0, ".")
sys.argv = [command, "completion", "bash"]
sys.exit(import_module(f"{package}.__main__").main())
