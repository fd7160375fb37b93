"""A cell run over a sequence: padded, from the end, in a batch that shares the weights; every
misuse in one sentence; and XLA's options, without which sums are wrong."""

import ast
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxrnn
from jaxrnn import CELLS, InputError, bidirectional, gru, lstm, stack, unroll, xavier
from jaxrnn.machine import compiler_options
from jaxrnn.nets import base
from jaxrnn.nets.base import Cell, _share_weights
from jaxrnn.nets.gru import _gru_advance, _gru_gates, _gru_update
from jaxrnn.nets.layers import convolved
from jaxrnn.nets.lstm import LSTMState, _lstm_advance, _lstm_update, sigmoids_and_tanh

STEPS, SIZE = 9, 3
RNG = np.random.default_rng(0)
BATCH = RNG.normal(size=(SIZE, STEPS, 3)).astype(np.float32)
SYMBOLS = RNG.integers(3, size=(SIZE, STEPS))
XS = BATCH[0]
MASK = np.array([0, 1, 1, 0, 1, 1, 0, 0, 0], bool)

NETS = {
    **{name: build for name, build in CELLS.items() if name != "memory_blocks"},
    "two layers": lambda i, h, o: stack(lstm(i, h, 5), gru(5, h, o)),
    "two of hidden units": lambda i, h, o: stack(lstm(i, h, 0), lstm(h, h, o), hidden=True),
    "convolved": lambda i, h, o: convolved(lstm(5, h, o), i, 5),
}
SHARED = [name for name, build in NETS.items() if build(3, 4, 2).shared is not None]
QUICK = ("lstm", "two layers")


def net_of(name):
    cell = NETS[name](3, 4, 2)
    return cell, cell.init(jax.random.key(1), xavier())


def close(actual, expected, tolerance=2e-5):
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def scanned(cell, params, xs):
    return lax.scan(partial(cell.step, params), cell.initial_state(params), xs)


# Masks, and the other end


def test_both_ways_are_two_plain_loops_side_by_side_in_value_and_gradient():
    cell, ahead = net_of("lstm")
    back = cell.init(jax.random.key(2), xavier())

    def plain(params):
        (_, ys), (_, reversed_ys) = (scanned(cell, params[k], (XS, XS[::-1])[k]) for k in (0, 1))
        return jnp.concatenate([ys, reversed_ys[::-1]], axis=1)

    def loss(run, params):
        return (jnp.arange(STEPS * 4.0).reshape(STEPS, 4) * run(params)).sum()

    ours = partial(bidirectional, cell, xs=XS)
    close(jax.jit(ours)((ahead, back)), plain((ahead, back)))
    close(*(jax.jit(jax.grad(partial(loss, run)))((ahead, back)) for run in (ours, plain)), 1e-4)
    padded = np.vstack([XS, np.full((3, 3), np.nan, np.float32)])
    masked = bidirectional(cell, (ahead, back), padded, mask=np.arange(STEPS + 3) < STEPS)
    close(masked, np.vstack([plain((ahead, back)), np.zeros((3, 4))]))
    for wrong in ((ahead,), ahead):  # the cell's own are a tuple, too
        with pytest.raises(InputError, match="give a pair, one for each direction"):
            bidirectional(cell, wrong, XS)


def test_from_its_end_a_sequence_keeps_the_order_of_its_outputs_and_skips_what_does_not_count():
    cell, params = net_of("min_gru")
    run = jax.jit(partial(unroll, cell), static_argnames="reverse")
    last, ys = run(params, XS, mask=MASK, reverse=True)
    expected_last, expected = run(params, XS[MASK][::-1])
    close((last, ys[MASK]), (expected_last, expected[::-1]))
    assert not ys[~MASK].any()
    # Padding may be a symbol that is none, where the others are checked.
    symbols = np.where(MASK, SYMBOLS[0], -1)
    close(unroll(cell, params, symbols, mask=MASK)[1][MASK], run(params, symbols[MASK])[1])


RESET = np.array([0, 0, 1, 0, 0, 1, 1, 0, 0], bool)


def in_episodes(cell, params, xs, state, reset, reverse):
    """A plain loop over steps, which begins anew at each episode."""
    order, ys = range(len(xs)), [None] * len(xs)
    for t in reversed(order) if reverse else order:
        first = t + 1 < len(xs) and reset[t + 1] if reverse else reset[t]
        if first:
            state = cell.initial_state(params)
        state, ys[t] = cell.step(params, state, xs[t])
    return state, jnp.stack(ys)


OF_EPISODES = ("lstm", "gru", "lstm_peephole", "min_gru", "two layers", "convolved", "own")
NOT_SLOW = {("lstm", True), ("gru", False), ("min_gru", False), ("own", True)}


@pytest.mark.parametrize(
    ("name", "reverse"),
    [
        pytest.param(*one, marks=[pytest.mark.slow] * (one not in NOT_SLOW))
        for one in product(OF_EPISODES, (False, True))
    ],
)
def test_episodes_in_one_sequence_are_a_plain_loop_in_value_and_gradient(name, reverse):
    """Also in a batch that shares the weights, and from a state of one's own."""
    cell, params = net_of("lstm" if name == "own" else name)
    if name == "own":  # whoever has only a step
        cell = cell._replace(unroll=None, shared=None, hidden=None)
    resets = np.stack([RESET, ~RESET, np.roll(RESET, 1)])
    state = jax.tree.map(lambda leaf: leaf + 0.5, cell.initial_state(params))

    def ours(params, state, batch):
        one = partial(unroll, cell, reverse=reverse)
        return jax.vmap(lambda xs, reset: one(params, xs, state, reset=reset))(batch, resets)

    def plain(params, state, batch):
        each = [
            in_episodes(cell, params, xs, state, reset, reverse)
            for xs, reset in zip(batch, resets, strict=True)
        ]
        return jax.tree.map(lambda *of: jnp.stack(of), *each)

    def loss(run, *given):
        leaves = jax.tree.leaves(run(*given))
        return sum(jnp.sum(jnp.sin(jnp.arange(leaf.size)) * jnp.ravel(leaf)) for leaf in leaves)

    gradients = []
    for run in (ours, plain):
        value = jax.value_and_grad(partial(loss, run), argnums=(0, 1))
        gradients.append(jax.jit(lambda *given, v=value, r=run: (v(*given), r(*given))))
    close(*(run(params, state, BATCH) for run in gradients), 1e-4)
    # A single one takes the path of those that do not share the weights.
    one = jax.jit(partial(unroll, cell, reverse=reverse))(params, XS, state, reset=RESET)
    close(one, jax.tree.map(lambda leaf: leaf[0], plain(params, state, BATCH)))
    begun = cell.initial_state(params)
    runs = (
        lambda params: unroll(cell, params, XS, reset=RESET),
        lambda params: in_episodes(cell, params, XS, begun, RESET, False),
    )
    close(*(jax.jit(jax.grad(partial(loss, run)))(params) for run in runs), 1e-4)


def test_an_episode_may_begin_where_steps_are_skipped():
    cell, params = net_of("lstm")
    mask = np.array([1, 1, 0, 0, 1, 0, 1, 1, 0], bool)

    def plain(params):
        state, ys = cell.initial_state(params), []
        for t in range(STEPS):
            if RESET[t]:
                state = cell.initial_state(params)
            after, y = cell.step(params, state, XS[t])
            state = after if mask[t] else state
            ys.append(y if mask[t] else jnp.zeros_like(y))
        return jnp.sum(jnp.stack(ys) ** 2) + jnp.sum(jax.tree.leaves(state)[1])

    def ours(params):
        state, ys = unroll(cell, params, XS, mask=mask, reset=RESET)
        return jnp.sum(ys**2) + jnp.sum(jax.tree.leaves(state)[1])

    close(*(jax.jit(jax.value_and_grad(run))(params) for run in (ours, plain)), 1e-4)


@pytest.mark.parametrize("name", ["lstm", "gru", "min_gru", "two layers", "convolved"])
def test_hidden_states_are_those_whose_outputs_are_returned(name):
    """In value and gradient; and the last state is the same."""
    cell, params = net_of(name)
    layer = params[-1] if name == "two layers" else getattr(params, "cell", params)
    for given in ({}, {"mask": MASK}, {"reset": RESET}, {"reverse": True}):
        last, hs = unroll(cell, params, XS, states=True, **given)
        expected_last, ys = unroll(cell, params, XS, **given)
        close(last, expected_last)
        counted = given.get("mask", slice(None))
        close((hs @ layer.output_weights + layer.output_bias[None])[counted], ys[counted])
        assert hs.shape == (STEPS, 4)
    plain = cell.hidden._replace(unroll=None, shared=None)
    runs = (partial(unroll, cell, states=True), partial(scanned, plain))
    close(*(jax.grad(lambda p, r=r: jnp.sum(r(p, XS)[1] ** 2))(params) for r in runs), 1e-4)
    if name == "lstm":
        with pytest.raises(InputError, match="this cell has none apart from its outputs"):
            unroll(cell._replace(hidden=None), params, XS, states=True)


def test_both_ways_begin_anew_at_the_same_episodes():
    cell, ahead = net_of("gru")
    back = cell.init(jax.random.key(2), xavier())
    whole = bidirectional(cell, (ahead, back), XS, reset=RESET)
    begins = [0, *np.flatnonzero(RESET), STEPS]
    parts = [bidirectional(cell, (ahead, back), XS[i:j]) for i, j in pairwise(begins)]
    close(whole, np.vstack(parts))


def products_of_loops(jaxpr):
    """How many products are in the body of each scan, in order."""
    for equation in jaxpr.eqns:
        leaves = jax.tree.leaves(list(equation.params.values()))
        inner = [one for one in leaves if hasattr(one, "eqns") or hasattr(one, "jaxpr")]
        if equation.primitive.name == "scan":
            yield str(inner[0]).count("dot_general")
        else:
            for one in inner:
                yield from products_of_loops(getattr(one, "jaxpr", one))


@pytest.mark.parametrize("name", ["lstm", "min_gru", "two layers"])
@pytest.mark.parametrize("of_batch", [False, True])
def test_a_mask_or_a_reset_moves_no_products_into_the_loops(name, of_batch):
    cell, params = net_of(name)

    def loss(params, xs, **given):
        return jnp.sum(unroll(cell, params, xs, **given)[1] ** 2)

    def traced(**given):
        one = partial(loss, **given)
        both = (lambda params, xs: jax.vmap(one, (None, 0))(params, xs).sum()) if of_batch else one
        return jax.make_jaxpr(jax.grad(both))(params, BATCH if of_batch else XS)

    every = ({}, {"mask": MASK}, {"reset": RESET}, {"mask": MASK, "reset": RESET})
    loops = [list(products_of_loops(traced(**given).jaxpr)) for given in every]
    assert loops == [loops[0]] * 4
    assert len(loops[0]) >= 2


# A batch of sequences that share the weights


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in SHARED],
)
def test_outputs_states_and_gradients_of_a_batch_are_those_of_the_step(name):
    """With a mask, too, and NaN where it skips."""
    cell, params = net_of(name)
    xs = SYMBOLS if name in ("lstm", "gru") else BATCH
    padded = xs if name in ("lstm", "gru") else np.where(MASK[:, None], xs, np.nan)

    def loss(run, xs, params):
        last, ys = jax.vmap(lambda xs: run(cell, params, xs))(xs)
        return jnp.sum(ys) + jnp.sum(ys**2) + sum(jnp.sum(x**2) for x in jax.tree.leaves(last))

    @jax.jit
    def all_four(params):
        runs = (unroll, scanned, partial(unroll, mask=MASK), scanned)
        each = zip(runs, (xs, xs, padded, xs[:, MASK]), strict=True)
        return [jax.value_and_grad(partial(loss, *one))(params) for one in each]

    whole, expected, masked, of_counted = all_four(params)
    close(whole, expected, 1e-4)
    close(masked, of_counted, 1e-4)
    assert {"lstm", "gru", "janet", "lstm_peephole", "slstm"} <= set(SHARED)


def test_it_has_every_derivative():
    cell, params = net_of("lstm")
    tangents = jax.tree.map(lambda leaf: RNG.normal(size=leaf.shape).astype(leaf.dtype), params)

    @partial(jax.jit, static_argnums=0)
    def derivatives(run, params):
        def loss(params):
            return jnp.sum(jax.vmap(lambda xs: run(cell, params, xs)[1])(BATCH) ** 2)

        def one(params, xs):
            return jnp.sum(run(cell, params, xs)[1])

        forward = jax.jvp(loss, (params,), (tangents,))
        curvature = jax.jvp(jax.grad(loss), (params,), (tangents,))[1]
        return forward, jax.vmap(jax.grad(one), (None, 0))(params, BATCH), curvature

    ours, expected = derivatives(unroll, params), derivatives(scanned, params)
    close(ours[:2], expected[:2], 1e-4)
    close(ours[2], expected[2], 1e-3)


def test_the_steps_of_lstm_and_gru_have_the_derivatives_of_their_equations():
    """Those that are written out against JAX's own."""
    h, c, a, x, product = (RNG.normal(size=n).astype(np.float32) for n in (4, 4, 16, 12, 12))

    def of_lstm(state, a):
        return _lstm_update((), state, *sigmoids_and_tanh(a, 4))

    def of_gru(h, *sums):
        return _gru_update((), h, *_gru_gates((), h, *sums, np.zeros(12, np.float32)))

    for ours, by_jax, *operands in (
        (_lstm_advance, of_lstm, LSTMState(h, c), a),
        (_gru_advance, of_gru, h, x, product),
    ):
        each = [jax.jacfwd(one, range(len(operands))) for one in (partial(ours, ()), by_jax)]
        close(*jax.jit(lambda each=each, operands=operands: [one(*operands) for one in each])())


def batch(run):
    return jax.vmap(run, (None, 0))


def gradient_of_batch(run):
    return jax.jit(jax.grad(lambda params, xs: batch(run)(params, xs).sum()))


def batch_in_a_loop(run):
    return lambda params, xs: lax.scan(lambda c, _: (c, batch(run)(params, xs)), 0, None, 2)


def answers(transform, of_params=(), of_xs=(5, 3)):
    """What is said of the mapping inside of a transformation of ``run(params, xs)``."""
    given = set()

    def run(params, xs):
        given.add(_share_weights(params, xs))
        return jnp.sum(xs) * params

    jax.make_jaxpr(transform(run))(np.ones(of_params), np.ones(of_xs))
    return given


def test_it_is_taken_where_the_innermost_vmap_maps_the_inputs_alone(monkeypatch):
    assert answers(jax.grad, (), (3,)) == {False}
    assert answers(lambda run: jax.vmap(jax.grad(run)), (4,), (4, 3)) == {False}
    for transform in (batch, gradient_of_batch, lambda run: batch(jax.grad(run)), batch_in_a_loop):
        assert answers(transform) == {True}
    assert answers(lambda run: jax.vmap(gradient_of_batch(run)), (4,), (4, 5, 3)) == {True}
    # Other devices keep their path.
    monkeypatch.setattr(base, "all_devices", lambda: [SimpleNamespace(platform="gpu")])
    assert answers(batch) == {False}


# Misuse


CELL, PARAMS = net_of("lstm")


def broken(step):
    return Cell(lambda key, initializer: (), lambda params: jnp.zeros(2), step)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"xs": np.zeros((32, 9, 3), np.float32)},
            "xs are float32[32, 9, 3], but unroll takes one sequence, real vectors [T, I] or "
            "symbols [T]: for a batch take jax.vmap(lambda xs: unroll(cell, params, xs))(batch)",
        ),
        ({"xs": np.zeros((32, 9), np.int32)}, "int32[32, 9], but unroll takes one sequence"),
        ({"xs": np.zeros(9, np.float32)}, "float32[9]: they have to be vectors [T, I] or symbols"),
        ({"xs": np.zeros((9, 3), bool)}, "bool[9, 3]: they have to be real numbers or symbols"),
        (
            {"xs": np.zeros((9, 2), np.float32)},
            "xs have 2 inputs at each step: the cell's params are for 3",
        ),
        ({"xs": np.array([0, 3, 1])}, "symbol 3 is not of the alphabet of 3: 0 to 2"),
        ({"xs": np.array([0, -1, 1])}, "symbol -1 is not of the alphabet"),
        # What JAX promotes of itself is as the user has set it; here nothing.
        ({"xs": XS.astype(jnp.bfloat16)}, "a step of the cell fails with inputs bfloat16[3]"),
        (
            {"state": jnp.zeros(4)},
            "state is float32[4]: the cell's is LSTMState(hidden=float32[4], cell=float32[4])",
        ),
        (
            {"state": LSTMState(jnp.zeros(3), jnp.zeros(3))},
            "state is LSTMState(hidden=float32[3], cell=float32[3]): the cell's is LSTMState(",
        ),
        (
            {"params": PARAMS.input_weights},
            "params are float32[3, 16], from which the cell cannot make its first state",
        ),
        ({"cell": lstm}, "unroll takes a cell, such as lstm(10, 20, 10), not <function lstm"),
        ({"mask": np.ones(8, bool)}, "mask is bool[8]: it has to be bool[9], one for each time"),
        ({"mask": np.ones(9)}, "mask is float"),
        (
            {"cell": broken(lambda params, state, x: (state[None], x))},
            "a step makes the state float32[1, 2] of float32[2]: give params, state and xs "
            "(float32[3]) one type",
        ),
        ({"cell": broken(lambda params, state, x: 1 / 0)}, "ZeroDivisionError: division by zero"),
    ],
)
def test_every_misuse_gets_one_sentence(arguments, sentence):
    given = {"cell": CELL, "params": PARAMS, "xs": XS} | arguments
    cell = given.pop("cell")

    def traced(**given):  # where symbols are not known
        return jax.jit(lambda given: unroll(cell, **given)).trace(given)

    for call in [partial(unroll, cell)] + [traced] * ("alphabet" not in sentence):
        with pytest.raises(InputError) as refusal:
            call(**given)
        assert sentence in str(refusal.value)
        assert "\n" not in str(refusal.value)


# What a user's own jit needs


def test_sums_of_large_batches_are_right_with_our_options_and_wrong_without():
    """jax-ml/jax#39103."""
    xs = np.random.default_rng(0).standard_normal((32_769, 3)).astype(np.float32)
    sums = jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2))
    right = np.sum(np.float64(xs) ** 2, axis=1)

    def are_right(options):
        given = jax.jit(sums, compiler_options=options)(xs)
        return np.allclose(given, right, rtol=1e-5)

    assert are_right(compiler_options())
    assert are_right({"xla_cpu_experimental_ynn_fusion_type": ""})  # as docs/howto/python.md has it
    if jax.__version__ == "0.10.2":
        assert not are_right(None), (
            "0.10.2 adds up rightly: does docs/howto/python.md warn in vain?"
        )


def test_every_jit_of_the_package_has_the_options_that_results_depend_on():
    jits = []
    for path in Path(jaxrnn.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        having = [one for one in calls if "compiler_options" in {word.arg for word in one.keywords}]
        named = [one.func for one in having] + [part for one in having for part in one.args[:1]]
        for node in ast.walk(tree):
            is_jit = isinstance(node, ast.Attribute) and node.attr == "jit"
            if is_jit and ast.unparse(node) == "jax.jit":
                jits.append(path.name)
                assert any(node is one for one in named), f"{path.name}:{node.lineno}"
    assert {"compiling.py", "record.py", "checks.py"} <= set(jits)
