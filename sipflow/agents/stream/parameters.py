"""Values with {variables} of the call in them."""

from sipflow.calls.variables import fill

__all__ = ["fill"]
