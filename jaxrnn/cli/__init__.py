"""The command line."""

import errno
import os
import signal
import sys
from typing import NoReturn

from jaxrnn.cli.signals import heeded
from jaxrnn.errors import InputError, Note

__all__ = ["main"]

# What to do where the machine refuses, by the number of the error.
_ADVICE = {
    **dict.fromkeys(
        (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG),
        "make room, then the same command goes on from here",
    ),
    **dict.fromkeys(
        (errno.EISDIR, errno.ENOTDIR, errno.EEXIST), "move it away, or choose another place"
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "mend its permissions, or choose another place"
    ),
}


def main() -> None:
    """Run the command line.

    A wrong word, value or file is one sentence on stderr and exit status 2; an interruption is one,
    too, and 128 plus the signal's number, 130 for SIGINT.
    """
    for stream in (sys.stdout, sys.stderr):  # whose encoding may lack a letter
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with heeded():
            _run()
    except BrokenPipeError:  # whoever read the output has gone, as in `jaxrnn list | head`
        _drop_output()
        sys.exit(1)
    except InputError as error:
        _refuse(str(error))
    except OSError as error:
        _drop_output()
        place = [] if error.filename is None else [str(error.filename)]
        advice = [_ADVICE[error.errno]] if error.errno in _ADVICE else []
        _refuse(": ".join([*place, error.strerror or str(error), *advice]))
    except KeyboardInterrupt as interruption:
        print("jaxrnn: interrupted; the same command goes on from here", file=sys.stderr)
        _drop_output()
        # Not by sys.exit: a program may still be compiled on a thread of JAX's, and that crashes
        # when Python takes its client away.
        os._exit(128 + (interruption.args or (signal.SIGINT,))[0])


def _run() -> None:
    # JAX takes a second to import, in which an interruption is to be heeded already.
    import logging
    import warnings

    from jaxrnn.machine import jax_importable

    with jax_importable():
        from jaxrnn.cli.commands import COMMANDS
        from jaxrnn.cli.parse import parse

    show = warnings.showwarning

    def note(message, category, filename, lineno, file=None, line=None):
        if issubclass(category, Note):
            print(f"jaxrnn: {message}", file=sys.stderr)
        else:
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = note
    # Without a directory for its own cache matplotlib says so in three lines, and works.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        parse(COMMANDS, sys.argv[1:])()
    except SystemExit:  # when the help has been printed
        print(end="", flush=True)
        raise
    print(end="", flush=True)


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong in one line, whatever the names in it, and exit."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in sentence)
    print(f"jaxrnn: {line}", file=sys.stderr)
    sys.exit(2)


def _drop_output() -> None:
    """Where nobody takes the output, let Python's own flush at the exit find no fault."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
