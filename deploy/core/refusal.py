"""The operator's own kind of error."""

from agent.wire.errors import AgentError


class Refused(AgentError):
    """What the operator asked for cannot be done as asked; nothing was changed."""
