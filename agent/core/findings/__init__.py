"""What `shoal-agent check` says: pure functions from facts to findings.

Each area is a module. A finding has a name that stays, a severity, one line of cause and one of remedy, and
the facts it was drawn from.
"""
