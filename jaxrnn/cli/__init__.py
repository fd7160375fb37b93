"""The command line."""

from jaxrnn.cli.commands import main

__all__ = ["main"]
