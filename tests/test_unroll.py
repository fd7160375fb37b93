"""A cell run over a sequence, as users of other libraries know it: padded, from the end, from any
state; and every misuse in one sentence."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrnn import CELLS, InputError, gru, lstm, stack, unroll, xavier
from jaxrnn.nets.base import Cell

STEPS, REAL = 9, 6
RNG = np.random.default_rng(0)
XS = RNG.normal(size=(STEPS, 3)).astype(np.float32)
SYMBOLS = np.array([0, 2, 1, 1, 0, 2, 2, 0, 1])
MASK = np.arange(STEPS) < REAL


def net_of(build):
    cell = build(3, 4, 2)
    return cell, cell.init(jax.random.key(1), xavier())


def two_layers(*sizes):
    return stack(lstm(sizes[0], sizes[1], 5), gru(5, *sizes[1:]))


BUILDERS = {**CELLS, "two layers": two_layers}
NEEDS_MORE = {"memory_blocks": {"block_size": 2}}


def close(actual, expected):
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


QUICK = ("lstm", "gru", "simple_rnn", "ind_rnn", "min_gru", "two layers")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in BUILDERS],
)
def test_padding_gives_the_state_after_the_last_real_step(name):
    xs = SYMBOLS if name in ("lstm", "ind_rnn") else XS
    cell, params = net_of(partial(BUILDERS[name], **NEEDS_MORE.get(name, {})))
    last, ys = unroll(cell, params, xs, mask=MASK)
    expected_last, expected = unroll(cell, params, xs[:REAL])
    close((last, ys[:REAL]), (expected_last, expected))
    assert not np.any(ys[REAL:])
    # From the end the padding comes first, and the net begins at the last real step.
    last, ys = unroll(cell, params, xs, mask=MASK, reverse=True)
    expected_last, expected = unroll(cell, params, xs[:REAL][::-1])
    close((last, ys[:REAL]), (expected_last, expected[::-1]))
    assert not np.any(ys[REAL:])


def test_a_mask_may_leave_out_any_step():
    cell, params = net_of(lstm)
    mask = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1], bool)
    last, ys = unroll(cell, params, XS, mask=mask)
    expected_last, expected = unroll(cell, params, XS[mask])
    close((last, ys[mask]), (expected_last, expected))


def test_reversed_outputs_keep_the_order_of_the_inputs():
    cell, params = net_of(gru)
    last, ys = unroll(cell, params, XS, reverse=True)
    expected_last, expected = unroll(cell, params, XS[::-1])
    close((last, ys), (expected_last, expected[::-1]))


def test_two_halves_are_the_whole():
    cell, params = net_of(lstm)
    middle, first = unroll(cell, params, XS[:4])
    last, second = unroll(cell, params, XS[4:], middle)
    close((last, jnp.concatenate([first, second])), unroll(cell, params, XS))


def test_a_padded_batch_is_a_vmap_and_trains_as_its_real_steps_do():
    cell, params = net_of(lstm)
    batch = RNG.normal(size=(3, STEPS, 3)).astype(np.float32)
    lengths = np.array([9, 2, 5])
    masks = np.arange(STEPS) < lengths[:, None]

    def padded(params):
        one = lambda xs, mask: unroll(cell, params, xs, mask=mask)[1]  # noqa: E731
        return jnp.sum(jax.vmap(one)(batch, masks) ** 2)

    def real(params):
        return sum(
            jnp.sum(unroll(cell, params, xs[:length])[1] ** 2)
            for xs, length in zip(batch, lengths, strict=True)
        )

    for one, other in zip(
        jax.tree.leaves(jax.jit(jax.grad(padded))(params)),
        jax.tree.leaves(jax.grad(real)(params)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


CELL, PARAMS = net_of(lstm)
STATE = CELL.initial_state(PARAMS)


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
        (
            {"xs": np.zeros((32, 9), np.int32)},
            "xs are int32[32, 9], but unroll takes one sequence",
        ),
        (
            {"xs": np.zeros(9, np.float32)},
            "xs are float32[9]: they have to be vectors [T, I] or symbols [T]",
        ),
        (
            {"xs": np.zeros((9, 3), bool)},
            "xs are bool[9, 3]: they have to be real numbers or symbols",
        ),
        (
            {"xs": np.zeros((9, 2), np.float32)},
            "a step of the cell fails with inputs float32[2] and params GatedParams("
            "input_weights=float32[3, 16], ",
        ),
        ({"xs": np.array([0, 3, 1])}, "symbol 3 is not of the alphabet of 3: 0 to 2"),
        ({"xs": np.array([0, -1, 1])}, "symbol -1 is not of the alphabet of 3: 0 to 2"),
        # What JAX promotes of itself is as the user has set it; here nothing.
        ({"xs": XS.astype(jnp.bfloat16)}, "a step of the cell fails with inputs bfloat16[3]"),
        (
            {"state": jnp.zeros(4)},
            "state is float32[4]: the cell's is LSTMState(hidden=float32[4], cell=float32[4])",
        ),
        (
            {"state": jax.tree.map(lambda leaf: leaf[:3], STATE)},
            "state is LSTMState(hidden=float32[3], cell=float32[3]): the cell's is LSTMState(",
        ),
        (
            {"params": PARAMS.input_weights},
            "params are float32[3, 16], from which the cell cannot make its first state",
        ),
        ({"cell": lstm}, "unroll takes a cell, such as lstm(10, 20, 10), not <function lstm"),
        (
            {"mask": np.ones(8, bool)},
            "mask is bool[8]: it has to be bool[9], one for each time step",
        ),
        ({"mask": np.ones(9)}, "mask is float"),
        (
            {"cell": broken(lambda params, state, x: (state[None], x))},
            "a step makes the state float32[1, 2] of float32[2]: give params, state and xs "
            "(float32[3]) one type",
        ),
        (
            {"cell": broken(lambda params, state, x: 1 / 0)},
            "ZeroDivisionError: division by zero",
        ),
    ],
)
@pytest.mark.parametrize("way", ["directly", "inside jit"])
def test_every_misuse_gets_one_sentence(way, arguments, sentence):
    given = {"cell": CELL, "params": PARAMS, "xs": XS} | arguments
    if way == "inside jit" and "alphabet" in sentence:
        pytest.skip("there the symbols are not known")
    cell = given.pop("cell")
    call = partial(unroll, cell)
    if way == "inside jit":
        traced = jax.jit(lambda given: partial(unroll, cell)(**given))

        def call(**given):
            return traced(given)

    with pytest.raises(InputError) as refusal:
        call(**given)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)
