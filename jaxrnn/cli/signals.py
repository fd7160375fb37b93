"""Interruptions that come at a moment at which they can be taken."""

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

WAIT_SECONDS = 0.01
PATIENCE_SECONDS = 3.0  # after which what is still imported is taken for one that never ends


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
