"""The command line."""

from jaxrnn.cli.commands import main
from jaxrnn.cli.watch import console

__all__ = ["console", "main"]
