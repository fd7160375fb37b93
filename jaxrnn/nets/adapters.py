"""Recurrent cells of Flax NNX, Flax Linen and Equinox as cells of this package.

Each adapter adds our output layer to the hidden units of their cell: h(t) [H] is the result of
their cell at step t, y(t) = h(t) V + output bias. A builder of one's own is one line:

    def nnx_gru(num_inputs, hidden_size, num_outputs):
        sizes = num_inputs, hidden_size, num_outputs
        return from_nnx(lambda rngs: nnx.GRUCell(num_inputs, hidden_size, rngs=rngs), *sizes)

Their cell draws its own first weights, from the trial's key; the experiment's initializer and
``initial_scale`` act on V alone, and the output bias is 0 at first. The biases of ``gates`` are
drawn by the initializer, too, so that settings of gate biases act on them and a search tunes them:

    gates={"forget": ("bias", slice(H, 2 * H)), "input": "hi.bias"}

names the array, by its attributes with dots between, and which H of its elements are the gate's,
by default all. Without them a setting for a gate's bias is refused. Weights and states have jax's
default float type, so in 64 bit mode they are float64 (but if their initializers draw in 32 bit,
the first weights have only that precision). If their cell draws a first state at random, it is the
same in every trial. Their libraries are imported only when an adapter is called. The adapters work
with jax's strict rules for promotion of types and ranks.

A cell in this form is only a step, scanned plainly: what that costs is in benchmarks/results, by
``python benchmarks/adapters.py``. Outcomes follow from the trial's key. But unlike
those of our own cells, they may change in the last bits with the number of lanes and devices.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.errors import InputError, look_up, shown
from jaxrnn.nets.base import Cell, State, without_outputs
from jaxrnn.nets.initializers import Initializer, require_initializer, xavier


class AdaptedParams(NamedTuple):
    """Parameters of a cell of another library, and of its output layer."""

    cell: Any  # theirs, a tree of arrays
    output_weights: jax.Array  # V [H, O]
    output_bias: jax.Array  # [O]


Gates = Mapping[str, str | tuple[str, slice]]
"""Which part of which array of a cell is the bias of each gate."""

_TUNED = ("input", "forget", "update", "output")


def from_nnx(
    make: Callable[[Any], Any],
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    gates: Gates | None = None,
) -> Cell:
    """A Flax NNX cell: ``make(rngs)`` gives it, as ``nnx.LSTMCell(I, H, rngs=rngs)`` does.

    The state is the cell's carry, at first what its ``initialize_carry`` gives; the parameters are
    a dict by the names of its attributes. Raises InputError for variables that are no ``nnx.Param``
    (the counts of a random stream, or a running mean), since a cell is a pure function here, and
    for hidden units that are not [H]. ``gates`` are said above.

    Source: ``flax.nnx.RNNCellBase``.
    """
    from flax import nnx

    graph, variables = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    for path, variable in nnx.to_flat_state(variables):
        if not isinstance(variable, nnx.Param):
            name, kind = ".".join(map(str, path)), type(variable).__name__
            raise InputError(f"from_nnx takes cells whose variables are Params: {name} is a {kind}")

    def init(key: jax.Array) -> Any:
        return nnx.to_pure_dict(nnx.split(make(nnx.Rngs(key)))[1])

    def first_carry(weights: Any) -> State:
        return nnx.merge(graph, weights).initialize_carry((num_inputs,), nnx.Rngs(0))

    def step(weights: Any, carry: State, x: jax.Array) -> tuple[State, jax.Array]:
        return nnx.merge(graph, weights)(carry, x)

    sizes = num_inputs, hidden_size, num_outputs
    return _adapted("from_nnx", sizes, gates, init, first_carry, step)


def from_linen(
    module: Any,
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    gates: Gates | None = None,
) -> Cell:
    """A Flax Linen cell, such as ``nn.LSTMCell(features=H)``.

    The state is the cell's carry, at first what its ``initialize_carry`` gives; the parameters are
    its collection "params". Raises InputError for any other collection, since a cell is a pure
    function here, and for hidden units that are not [H]. ``gates`` are said above.

    Source: ``flax.linen.RNNCellBase``.
    """

    def first_carry(key: jax.Array) -> State:
        return module.initialize_carry(key, (num_inputs,))

    def init(key: jax.Array) -> Any:
        with jax.numpy_dtype_promotion("standard"):  # of a step whose numbers nobody sees
            variables = module.init(key, first_carry(key), jnp.zeros(num_inputs))
        if set(variables) != {"params"}:
            collections = ", ".join(sorted(variables)) or "none"
            raise InputError(f"from_linen takes cells with params and no more: not {collections}")
        return variables["params"]

    def step(weights: Any, carry: State, x: jax.Array) -> tuple[State, jax.Array]:
        return module.apply({"params": weights}, carry, x)

    sizes = num_inputs, hidden_size, num_outputs
    always = jax.random.key(0)
    return _adapted("from_linen", sizes, gates, init, lambda weights: first_carry(always), step)


def from_equinox(
    make: Callable[[jax.Array], Any],
    num_inputs: int,
    hidden_size: int,
    num_outputs: int,
    *,
    gates: Gates | None = None,
    initial_state: Callable[[int], State] | None = None,
    hidden: Callable[[State], jax.Array] | None = None,
) -> Cell:
    """An Equinox cell: ``make(key)`` gives it, as ``eqx.nn.LSTMCell(I, H, key=key)`` does.

    The module is called as ``module(x, state) -> state``. ``initial_state(H)`` and
    ``hidden(state)`` [H] say what its state is; by default the state of ``eqx.nn.LSTMCell`` is (h,
    c) and that of any other cell is h, zeros at first. The parameters are the module's arrays; the
    rest of the module is fixed. Raises InputError for arrays that are not real numbers, which
    cannot be trained, and for hidden units that are not [H]. ``gates`` are said above.

    Source: ``equinox.nn.GRUCell`` and ``LSTMCell``.
    """
    import equinox

    abstract = equinox.filter_eval_shape(make, jax.random.key(0))
    of_arrays, fixed = equinox.partition(abstract, lambda leaf: hasattr(leaf, "shape"))
    for array in jax.tree.leaves(of_arrays):
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise InputError(f"from_equinox takes modules of real numbers, not of {array.dtype}")
    has_two = isinstance(abstract, equinox.nn.LSTMCell)

    def init(key: jax.Array) -> Any:
        return equinox.filter(make(key), equinox.is_array)

    def first_state(weights: Any) -> State:
        if initial_state is not None:
            return initial_state(hidden_size)
        zeros = jnp.zeros(hidden_size)
        return (zeros, zeros) if has_two else zeros

    def step(weights: Any, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        state = equinox.combine(weights, fixed)(x, state)
        if hidden is not None:
            return state, hidden(state)
        return state, state[0] if has_two else state

    sizes = num_inputs, hidden_size, num_outputs
    return _adapted("from_equinox", sizes, gates, init, first_state, step)


def _adapted(
    adapter: str,
    sizes: tuple[int, int, int],
    gates: Gates | None,
    init_cell: Callable[[jax.Array], Any],
    first_state: Callable[[Any], State],
    step_cell: Callable[[Any, State, jax.Array], tuple[State, jax.Array]],
) -> Cell:
    """Their functions of (weights, state, x), which give (state, h), with an output layer."""
    num_inputs, hidden_size, num_outputs = sizes
    # One trial after another, also under vmap. Flax's initializers do QR decompositions, and a
    # batch of these never ends on several CPU devices, see jaxrnn.nets.initializers.
    init_cell = jax.custom_batching.sequential_vmap(init_cell)

    def init(key: jax.Array, initializer: Initializer) -> AdaptedParams:
        require_initializer(initializer)
        cell_key, output_key = jax.random.split(key)
        bias = jnp.zeros(num_outputs)
        weights = _as(bias.dtype, init_cell(cell_key))
        if gates:
            drawn = initializer.biases(jax.random.fold_in(key, 1), (*gates,), hidden_size)
            weights = _with_biases(adapter, weights, gates, drawn.reshape(len(gates), hidden_size))
        return AdaptedParams(
            weights,
            initializer.weights(output_key, 1, hidden_size, num_outputs),
            bias,
        )

    def initial_state(params: AdaptedParams) -> State:
        return _as(params.output_bias.dtype, first_state(params.cell))

    def step(params: AdaptedParams, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        state, h = step_cell(params.cell, state, x)
        return state, h @ params.output_weights + params.output_bias

    def hidden_units(key: jax.Array) -> jax.Array:
        weights = _as(jnp.result_type(float), init_cell(key))
        state = _as(jnp.result_type(float), first_state(weights))
        return step_cell(weights, state, jnp.zeros(num_inputs))[1]

    try:
        h = jax.eval_shape(hidden_units, jax.random.key(0))
    except InputError:
        raise
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{adapter}'s cell fails with {num_inputs} inputs and hidden_size {hidden_size}: {what}"
        ) from error
    if h.shape != (hidden_size,):
        raise InputError(
            f"{adapter}'s cell gives hidden units of shape {h.shape}, not ({hidden_size},)"
        )

    def hidden_step(params: AdaptedParams, state: State, x: jax.Array) -> tuple[State, jax.Array]:
        return step_cell(params.cell, state, x)

    cell = Cell(init, initial_state, step, gates=(*(gates or ()),), before_joining=without_outputs)
    if gates:
        jax.eval_shape(lambda key: init(key, xavier()), jax.random.key(0))  # raises for its faults
    return cell._replace(hidden=cell._replace(step=hidden_step))


def _with_biases(adapter: str, weights: Any, gates: Gates, drawn: jax.Array) -> Any:
    """The weights, with the biases of each gate [H] as they were drawn [G, H]."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(weights)
    arrays = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    for (gate, where), bias in zip(gates.items(), drawn, strict=True):
        look_up(dict.fromkeys(_TUNED), "gate", gate)
        name, part = (where, slice(None)) if isinstance(where, str) else where
        array = look_up(arrays, f"array of {adapter}'s cell", name)
        if (shape := jax.eval_shape(lambda one, at=part: one[at], array).shape) != bias.shape:
            raise InputError(
                f"gate {gate} is {name}[{shown(part)}] of shape {shape}: it has to be "
                f"{bias.shape}, one bias for each hidden unit"
            )
        arrays[name] = array.at[part].set(bias)
    return jax.tree.unflatten(tree, arrays.values())


def _as(dtype: Any, tree: Any) -> Any:
    """The arrays of a tree in one type."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)
