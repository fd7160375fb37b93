"""The command line."""

import errno
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

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


def main() -> None:
    """Run the command line.

    For a wrong word, value or file it prints one sentence to stderr and exits with status 2. For an
    interruption it prints one sentence, too, and exits with 128 plus the signal's number, 130 for
    SIGINT.
    """
    for stream in (sys.stdout, sys.stderr):  # whose encoding may lack a letter
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    try:
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
        leave(*interruption.args)


def leave(number: int = signal.SIGINT, frame: FrameType | None = None) -> NoReturn:
    """Handle SIGINT or SIGTERM: say so in one sentence, and leave at once with 128 plus its number.

    Nothing is lost but the chunks in flight: files are replaced as a whole, and rows are on disk
    as soon as they are there. An exception in place of this would end an import half-way, and in a
    callback from C Python prints it and drops it. Only the driver of a cluster raises one, since
    the scheduler would keep what is not deleted there.
    """
    cluster = sys.modules.get("jaxrnn.sweeps.cluster")
    if frame is not None and getattr(cluster, "is_driving", False):
        raise KeyboardInterrupt(number)
    try:  # by the descriptors, since print may have been interrupted
        if os.isatty(1):
            os.write(1, b"\x1b[?25h\n")  # the cursor, which the live view hides
        os.write(2, b"jaxrnn: interrupted; the same command goes on from here\n")
    finally:
        os._exit(128 + number)


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
