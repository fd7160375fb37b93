"""Many trials for many updates as programs for devices: the only vmap of trials.

Seeds, trials, rates, biases, caps, stop rules and the number of updates that are done are data to a
program, and the first weights are drawn before it. So one program serves a search, the trials that
are reported after it, another seed and another initializer. The training sequences are drawn by a
program of their own, which all nets share that are trained on the same task and length.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.typing import ArrayLike

from jaxrnn.experiment import Experiment
from jaxrnn.machine import all_devices, few_mappings_left, settings_of_jax
from jaxrnn.problems import Sequence as Drawn
from jaxrnn.training.compiling import (
    AXIS,
    OF_CHUNK,
    OF_LANES,
    Compiled,
    Compiles,
    InParts,
    Lanes,
    jit_lanes,
)
from jaxrnn.training.lanes import round_up
from jaxrnn.training.trial import Init, TrainState, Trial, settings_of, trial_key


class Chunk:
    """Trains every lane for all updates of a chunk: ``chunk(state, lanes)``.

    One program draws the sequences of some lanes, another one trains all lanes by them. The first
    is the same for every cell, and for most numbers of lanes. In one program with the second, it
    would be compiled again for each of them (docs/tried.md).
    """

    def __init__(
        self,
        draws: InParts[Drawn],
        updates: Compiles[tuple[TrainState, jax.Array]],
        count: int | None,
    ) -> None:
        """``updates(state, sequences, lanes)`` are by the sequences that ``draws(lanes)`` gives. If
        lanes do not say which of them are done, the first ``count`` are; None says all."""
        self.draws, self.updates, self._count = draws, updates, count

    def compile(self, lanes: Lanes) -> Future[Compiled]:
        """Begin to compile both for so many lanes, if nobody has yet; the program that trains."""
        return self.updates.compile(self.counted(lanes), after=self.draws.compile(lanes))

    def widths(self) -> list[int]:
        """The numbers of lanes that it is compiled for."""
        return self.updates.widths()

    def memory(self, lanes: Lanes) -> int:
        """The bytes that it needs on each device, by XLA's own figures, once it is compiled: to
        train so many lanes, and meanwhile to draw the sequences of the next chunk."""
        return sum(self.updates.memory(self.counted(lanes))) + sum(self.draws.memory(lanes))

    def __call__(self, state: TrainState, lanes: Lanes) -> tuple[TrainState, jax.Array]:
        """The state after the chunk, and the errors; once both are compiled."""
        return self.updates(state, self.draws(lanes), self.counted(lanes))

    def stops(self, state: TrainState, lanes: Lanes, counts: Iterable[int]) -> Iterator[TrainState]:
        """The state after each of some numbers of updates, which rise; gives up its memory when the
        next one is asked for."""
        drawn, done = self.draws(lanes), 0
        for count in counts:
            state, _ = self.updates(state, drawn, _counting(lanes, done, count))
            yield state
            done = count

    def counted(self, lanes: Lanes) -> Lanes:
        """The lanes as ``updates`` gets them: they say which updates are done."""
        return lanes if self._count is None else _counting(lanes, 0, self._count)


def _counting(lanes: Lanes, begin: int, end: int) -> Lanes:
    first, last = (np.full(len(lanes.trial), number, np.int32) for number in (begin, end))
    return lanes._replace(begin=first, end=last)


class Program(NamedTuple):
    """One trial's functions for all lanes of a batch, each compiled once for each number of them,
    whatever trials and updates they hold, and whatever draws their first weights."""

    devices: Sequence[jax.Device]
    zeros: Callable[[Lanes], TrainState]  # a state of the right shapes
    # (state, lanes) -> (state, errors [C, N], or [C, N, B] of batches); gives up the state's memory
    chunk: Chunk
    # by the name of each test: (params, lanes) -> errors [N, M] of its M sequences
    tests: Mapping[str, Compiles[jax.Array]]
    put: Callable[[Any], Any]  # shares a state, or parameters, on the host out over the devices
    copy: Callable[[TrainState], TrainState]  # of a state that is to be given up
    # (state, another, is_of_other [N]) -> the other's lanes where true; gives up the first's memory
    mixed: Callable[[TrainState, TrainState, Any], TrainState]

    def with_first(
        self,
        state: TrainState,
        drawn: Iterable[tuple[Sequence[TrainState], np.ndarray]],
        keeps_others: bool = True,
    ) -> TrainState:
        """The state with what each of :func:`first_states` has drawn for the lanes named beside it;
        gives up the memory of the one that it is given. Other lanes need not be kept, if none of
        them is busy."""
        new = jax.tree.map(lambda old: np.zeros(old.shape, old.dtype), state)
        is_new = np.zeros(jax.tree.leaves(new)[0].shape[0], bool)
        for parts, at in drawn:
            for leaf, *some in zip(*map(jax.tree.leaves, (new, *parts)), strict=True):
                leaf[at] = np.concatenate(list(map(np.asarray, some)))[: len(at)]
            is_new[at] = True
        new = self.put(new)
        return self.mixed(state, new, is_new) if keeps_others and not is_new.all() else new

    def first_state(self, init: Init, lanes: Lanes) -> TrainState:
        """The state of these lanes at update 0."""
        drawn = first_states(init, self.devices)(lanes)
        return self.with_first(self.zeros(lanes), [(drawn, np.arange(len(lanes.trial)))])


def lanes_of(experiment: Experiment, trials: ArrayLike | None = None) -> Lanes:
    """These trials at update 0, a lane each; by default all of the experiment."""
    trial = np.asarray(np.arange(experiment.trials) if trials is None else trials, np.int32)
    seed = np.full(trial.shape, experiment.seed, np.uint32)
    return Lanes(seed, trial, np.zeros_like(trial), settings_of(experiment, trial))


def bytes_of(tree: Any) -> int:
    """Memory of a tree of arrays, or of shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def make_program(
    trial: Trial,
    chunk_updates: int,
    devices: Sequence[jax.Device] | None = None,
) -> Program:
    """The program of one trial, its lanes shared out over the devices.

    A chunk is ``chunk_updates`` updates of every lane, for states from ``put``, ``with_first`` or
    the chunk itself. The devices (all of the process by default) divide the number of lanes. Matrix
    products have float32's full precision unless ``jax_default_matmul_precision`` says otherwise.
    """
    devices = list(devices or all_devices())
    sharding = NamedSharding(Mesh(np.array(devices), AXIS), OF_LANES)

    known: dict[int, TrainState] = {}  # by the number of lanes

    def shapes(lanes: Lanes) -> TrainState:
        if (width := lanes.trial.shape[0]) not in known:
            keys = jax.eval_shape(_keys_of, lanes)
            state = jax.eval_shape(jax.vmap(trial.init), keys, lanes.settings)
            known[width] = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state
            )
        return known[width]

    def zeros(lanes: Lanes) -> TrainState:
        host = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes(lanes))
        return jax.device_put(host, sharding)

    # Those of two updates at least, see _chunk.
    draws = sequences_for(trial.draw, trial.batch_size, max(2, chunk_updates), devices)

    def all_updates(
        state: TrainState, parts: list[Drawn], lanes: Lanes
    ) -> tuple[TrainState, jax.Array]:
        width = lanes.trial.shape[0]
        # [C, N, ...] of all lanes of one device, from parts, the last of which is filled up.
        sequences = jax.tree.map(lambda *some: jnp.concatenate(some, axis=1)[:, :width], *parts)
        return _chunk(trial, chunk_updates, state, sequences, lanes)

    def tested(test: Callable[[jax.Array, Any], jax.Array]) -> Compiles[jax.Array]:
        def all_lanes(params: Any, lanes: Lanes) -> jax.Array:
            return jax.vmap(test)(_keys_of(lanes), params)

        return Compiles(
            jit_lanes(all_lanes, OF_LANES, devices), lambda lanes: (shapes(lanes).params,)
        )

    def mixed(state: TrainState, other: TrainState, is_of_other: jax.Array) -> TrainState:
        def pick(old: jax.Array, new: jax.Array) -> jax.Array:
            return jnp.where(is_of_other.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

        return jax.tree.map(pick, state, other)

    updates: Compiles[tuple[TrainState, jax.Array]] = Compiles(
        jit_lanes(all_updates, (OF_LANES, OF_CHUNK), devices, (0,), (OF_LANES, OF_CHUNK, OF_LANES)),
        lambda lanes: (shapes(lanes), draws.shapes(lanes)),
    )
    return Program(
        devices=devices,
        zeros=zeros,
        chunk=Chunk(draws, updates, chunk_updates if devices[0].platform == "cpu" else None),
        tests={name: tested(test) for name, test in trial.tests},
        put=lambda tree: jax.device_put(tree, sharding),
        copy=lambda state: jax.device_put(state, sharding, may_alias=False),
        mixed=jit_lanes(mixed, OF_LANES, devices, (0,)),
    )


HELD = 64
"""At most so many programs are held, those used last. One that trains takes about 12 MB (the LSTM,
jax 0.10.2), one that draws sequences or first states about 4 MB. A horizon has eight lags, whose
programs of the first two kinds are for one device, for another and for both."""

_held: OrderedDict[Any, Any] = OrderedDict()


def _keep(key: Any, make: Callable[[], Any]) -> Any:
    """What ``make`` gives; the same one for equal keys under the same settings of JAX."""
    key = (*key, settings_of_jax())
    if key not in _held:
        _held[key] = make()
        # A program takes hundreds of mappings, one with tests thousands. Once there are none left
        # LLVM fails with "Cannot allocate memory".
        most = len(_held) // 2 if few_mappings_left() else HELD
        while len(_held) > max(1, most):
            _held.popitem(last=False)
    _held.move_to_end(key)
    return _held[key]


def _key(trial: Trial, chunk_updates: int, devices: Sequence[jax.Device]) -> tuple[Any, ...]:
    return trial._replace(init=None), chunk_updates, tuple(devices)  # type: ignore[arg-type]


def program_for(trial: Trial, chunk_updates: int, devices: Sequence[jax.Device]) -> Program:
    """The program of :func:`make_program`; the same one for the same arguments and settings of JAX,
    whatever the trial's ``init``."""
    key = _key(trial, chunk_updates, devices)
    program: Program = _keep(key, lambda: make_program(trial, chunk_updates, devices))
    return program


def widths_held(trial: Trial, chunk_updates: int, devices: Sequence[jax.Device]) -> list[int]:
    """The numbers of lanes that such a program is compiled for already."""
    program = _held.get((*_key(trial, chunk_updates, devices), settings_of_jax()))
    return [] if program is None else program.chunk.widths()


def forget_programs() -> None:
    """Hold none."""
    _held.clear()


# The lanes that a CPU draws for at a time: few, so that a few programs serve any number of lanes,
# and more would take longer for a few trials. Sequences are drawn for more at a time where there
# are more lanes, since each start of a program takes about 0.1 ms, a hundredth of the shortest
# chunk of ten lanes.
_FEW = round_up(1, 1)
_DRAWN_ON_ACCELERATORS = 32  # first states; sequences for all lanes


def sequences_for(
    draw: Callable[[jax.Array, jax.Array], Drawn],
    batch_size: int,
    num_updates: int,
    devices: Sequence[jax.Device],
) -> InParts[Drawn]:
    """What draws the sequences of so many updates on these devices; the same one for the same
    arguments and settings of JAX, whatever the cell."""

    def some(lanes: Lanes) -> Drawn:
        return _sequences(draw, batch_size, _keys_of(lanes), lanes.update, num_updates)

    at_once = (_FEW, 4 * _FEW) if devices[0].platform == "cpu" else None
    key = draw, batch_size, num_updates, tuple(devices)
    drawn: InParts[Drawn] = _keep(key, lambda: InParts(some, OF_CHUNK, devices, at_once))
    return drawn


def first_states(init: Init, devices: Sequence[jax.Device]) -> InParts[TrainState]:
    """What draws trials' states at update 0 for a run on these devices; the same one for the same
    ``init``, platform and settings of JAX.

    To compile it takes a third of the time of a chunk of the LSTM (jax 0.10.2).
    """
    platform = devices[0].platform
    device = next((one for one in all_devices() if one.platform == platform), devices[0])

    def some(lanes: Lanes) -> TrainState:
        return jax.vmap(init)(_keys_of(lanes), lanes.settings)

    size = _FEW if platform == "cpu" else _DRAWN_ON_ACCELERATORS
    states: InParts[TrainState] = _keep(
        (init, device), lambda: InParts(some, OF_LANES, [device], (size, size))
    )
    return states


def _keys_of(lanes: Lanes) -> jax.Array:
    """The key of each lane's trial [N]."""
    return jax.vmap(trial_key)(lanes.seed, lanes.trial)


def _chunk(
    trial: Trial,
    chunk_updates: int,
    state: TrainState,
    sequences: Drawn,
    lanes: Lanes,
) -> tuple[TrainState, jax.Array]:
    """All updates of a chunk: (state after it, errors [C, N], or [C, N, B] of batches)."""
    num_drawn = jax.tree.leaves(sequences)[0].shape[0]

    def update(offset: jax.Array, state: TrainState) -> tuple[TrainState, jax.Array]:
        number = lanes.update + jnp.broadcast_to(offset, lanes.update.shape)
        at_offset = partial(jax.lax.dynamic_index_in_dim, index=offset, keepdims=False)
        over: tuple[Any, ...] = (state, lanes.settings, jax.tree.map(at_offset, sequences), number)
        if trial.in_turn:
            return jax.lax.map(lambda of_lane: trial.update(*of_lane), over)
        return jax.vmap(trial.update)(*over)

    def one(offset: jax.Array, carry: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
        state, errors = update(offset, carry[0])
        errors = errors.astype(carry[1].dtype)
        return state, jax.lax.dynamic_update_index_in_dim(carry[1], errors, offset, 0)

    # XLA must not know that a chunk has only one update: it would drop the loop, and multiply in
    # another way, since it need not choose from several sequences (jax 0.12.0.1; for a net of 6
    # units, the third error differs). So the number of updates is data, and sequences for at least
    # two updates are drawn. On an accelerator XLA has to know the number: otherwise the host is
    # asked before every update whether there is one more.
    begin: Any = np.int32(0)
    end: Any = np.int32(chunk_updates)
    if lanes.begin is not None and lanes.end is not None:
        begin, end = lanes.begin[0], lanes.end[0]
    axes = _axes(trial.batch_size, num_drawn, lanes.trial.shape[0])
    errors = jnp.zeros(axes, jnp.result_type(float))
    state, errors = jax.lax.fori_loop(begin, end, one, (state, errors))
    return state, errors[:chunk_updates]


def _axes(batch_size: int, num_updates: int, num_lanes: int) -> tuple[int, ...]:
    """The axes of all sequences of a chunk: (C, N), or (C, N, B) of batches."""
    return (num_updates, num_lanes, *(() if batch_size == 1 else (batch_size,)))


def _sequences(
    draw: Callable[[jax.Array, jax.Array], Drawn],
    size: int,
    keys: jax.Array,
    update: ArrayLike,
    num_updates: int,
) -> Drawn:
    """The sequences of so many updates from ``update`` [N] on: [C, N, ...], or [C, N, B, ...]."""
    axes = _axes(size, num_updates, len(keys))
    offsets = jnp.repeat(jnp.arange(num_updates, dtype=jnp.int32), len(keys))
    keys, first = jnp.tile(keys, num_updates), jnp.tile(update, num_updates)
    if size > 1:
        keys, first, offsets = (
            jnp.repeat(one, size) for one in (keys, size * first, size * offsets)
        )
        offsets = offsets + jnp.tile(jnp.arange(size, dtype=jnp.int32), len(keys) // size)

    def one(key: jax.Array, first: jax.Array, offset: jax.Array) -> Drawn:
        return draw(key, first + offset)

    # All in one flat vmap: random numbers are cheaper in bulk, and a nested vmap takes XLA four
    # times as long to compile.
    sequences = jax.vmap(one)(keys, first, offsets)
    return jax.tree.map(lambda a: a.reshape((*axes, *a.shape[1:])), sequences)
