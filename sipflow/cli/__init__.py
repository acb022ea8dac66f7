"""`sipflow ...`: what an operator types."""

from sipflow.cli.main import main

__all__ = ["main"]
