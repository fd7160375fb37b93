"""The compiled programs that this process holds, each for a net on some devices.

Seeds, trials, rates, biases, caps and stop rules are data to a program, and the first weights are
drawn before it. So one program serves a search, the trials that are reported after it, another seed
and another initializer. The training sequences are drawn by a program of their own, which all nets
share that are trained on the same task and length.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import jax

from jaxrnn.machine import settings_of_jax
from jaxrnn.training.engine import Program, held_draws, held_first_states, make_program
from jaxrnn.training.trial import Trial

HELD = 8
"""At most this many programs are held, those used last. One takes about 12 MB (the LSTM, jax
0.10.2). Half of 16, with 12 in place of 64 that draw, has a horizon's searches compile 65 programs
in place of 61 on one device, and 94 in place of 78 on two."""


_held: OrderedDict[Any, Program] = OrderedDict()


def program_for(
    trial: Trial, chunk_updates: int, devices: Sequence[jax.Device], replayable: bool
) -> Program:
    """The program of :func:`jaxrnn.training.engine.make_program`; the same one for the same
    arguments and settings of JAX, whatever the trial's ``init``."""
    key = _key(trial, chunk_updates, devices, replayable)
    if key not in _held:
        _held[key] = make_program(trial, chunk_updates, devices, replayable)
    _held.move_to_end(key)
    while len(_held) > HELD:
        _held.popitem(last=False)
    return _held[key]


def widths_held(
    trial: Trial, chunk_updates: int, devices: Sequence[jax.Device], replayable: bool
) -> list[int]:
    """The numbers of lanes that such a program is compiled for already."""
    program = _held.get(_key(trial, chunk_updates, devices, replayable))
    return [] if program is None else program.chunk.widths()


def forget_programs() -> None:
    """Hold none."""
    _held.clear()
    held_draws.cache_clear()
    held_first_states.cache_clear()


def _key(trial: Trial, chunk_updates: int, devices: Sequence[jax.Device], replayable: bool) -> Any:
    anyhow = trial._replace(init=None)  # type: ignore[arg-type]  # only compared
    return anyhow, chunk_updates, tuple(devices), replayable, settings_of_jax()
