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

# Advice for errors of the operating system, by their number.
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
PATIENCE_SECONDS = 3.0  # an import that takes longer counts as one that never ends


def main() -> None:
    """Run the command line.

    For a wrong word, value or file it prints one sentence to stderr and exits with status 2. For an
    interruption it prints one sentence, too, and exits with 128 plus the signal's number, 130 for
    SIGINT.
    """
    for stream in (sys.stdout, sys.stderr):  # whose encoding may lack a letter
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with heeded():
            _run()
    except BrokenPipeError:  # the reader of the output has closed it: `jaxrnn list | head`
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
        # Not by sys.exit: one of JAX's threads may still compile a program, and it crashes when
        # Python deletes JAX's client.
        os._exit(128 + (interruption.args or (signal.SIGINT,))[0])


@contextmanager
def heeded() -> Iterator[None]:
    """Within it SIGINT and SIGTERM raise KeyboardInterrupt with their number, sooner or later.

    Python by itself raises the exception at any instruction. During an import, this ends in a
    strange ImportError or in a crash. In a callback of the garbage collector (JAX has one) or of a
    weak reference, Python prints the exception and drops it. In these cases the exception is raised
    again a little later. An import that takes longer than ``PATIENCE_SECONDS`` from the signal on
    is interrupted.
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
    # JAX takes a second to import, and an interruption has to work during that second, too.
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
    # Without a directory for its cache, matplotlib prints three lines about that, and works.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        parse(COMMANDS, sys.argv[1:])()
    except SystemExit:  # when the help has been printed
        print(end="", flush=True)
        raise
    print(end="", flush=True)


def _refuse(sentence: str) -> NoReturn:
    """Print what is wrong on one line, even if a name in it has a line break, and exit."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in sentence)
    print(f"jaxrnn: {line}", file=sys.stderr)
    sys.exit(2)


def _drop_output() -> None:
    """If nobody reads the output, discard it, so that Python's flush at exit does not fail."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
