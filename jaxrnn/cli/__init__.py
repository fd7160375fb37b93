"""The command line."""

import errno
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

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

# Of an interruption that comes while something is imported.
WAIT_SECONDS = 0.01
PATIENCE_SECONDS = 3.0  # after which what is still imported is taken for one that never ends


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


@contextmanager
def heeded() -> Iterator[None]:
    """Within it SIGINT and SIGTERM raise KeyboardInterrupt with their number, sooner or later.

    By itself Python raises at whatever instruction a signal finds it. While a module is imported
    that ends in a strange ImportError or in a crash; in a callback of the garbage collector (JAX
    has one) or of a weak reference it is printed and lost. There it is tried again a little later.
    An import that takes longer than ``PATIENCE_SECONDS`` from the signal on is interrupted.
    """
    if not hasattr(signal, "setitimer"):  # on Windows
        yield
        return
    waiting, since = signal.SIGINT, math.inf
    tell = sys.unraisablehook

    def take(number: int, frame: FrameType | None) -> None:
        nonlocal waiting, since
        if number != signal.SIGALRM:
            waiting, since = signal.Signals(number), min(since, time.monotonic())
        if not _is_importing(frame) or time.monotonic() - since > PATIENCE_SECONDS:
            raise KeyboardInterrupt(waiting)
        signal.setitimer(signal.ITIMER_REAL, WAIT_SECONDS)

    def lost(unraisable: Any) -> None:
        if unraisable.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, WAIT_SECONDS)
        else:
            tell(unraisable)

    numbers = (signal.SIGALRM, signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, take) for number in numbers}
    sys.unraisablehook = lost
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        sys.unraisablehook = tell
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _run() -> None:
    # JAX takes a second to import, in which an interruption is to be heeded already.
    import logging
    import warnings

    from jaxrnn.machine import jax_importable

    with jax_importable():
        from jaxrnn.cli.commands import COMMANDS
        from jaxrnn.cli.words import parse

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
