"""The command line."""

import errno
import logging
import os
import signal
import sys
from typing import Any, NoReturn

from jaxrnn.errors import InputError

__all__ = ["main"]

# What to do where the machine refuses, by the number of the error.
_ADVICE = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        "make room, then the same command goes on from here",
    ),
    **dict.fromkeys(
        (errno.EISDIR, errno.ENOTDIR, errno.EEXIST), "move it away, or choose another place"
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose another place"),
}


def main() -> None:
    """Run the command line.

    A wrong word, value or file is one sentence on stderr and exit status 2; an interruption is one,
    too, and status 130.
    """
    # Where its cache directory cannot be written matplotlib says so in three lines, and works.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):  # of a locale that lacks a letter
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        # JAX takes a second to import, in which an interruption is to be one sentence already.
        from jaxrnn.cli.commands import COMMANDS
        from jaxrnn.cli.parse import parse

        parse(COMMANDS, sys.argv[1:])()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has gone, as in `jaxrnn list | head`
        _drop_output()
        sys.exit(1)
    except InputError as error:
        _refuse(str(error))
    except OSError as error:
        _drop_output()
        advice = _ADVICE.get(error.errno or 0, "")
        sentence = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _refuse(sentence + (advice and f": {advice}"))
    except KeyboardInterrupt:
        print("jaxrnn: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, frame: Any) -> NoReturn:
    sys.exit(128 + number)  # so that temporary files go, and the terminal has its cursor again


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong in one line, whatever the names in it, and exit."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in sentence)
    print(f"jaxrnn: {line}", file=sys.stderr)
    sys.exit(2)


def _drop_output() -> None:
    """Where nobody takes the output, let Python's own flush at the exit find no fault."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
