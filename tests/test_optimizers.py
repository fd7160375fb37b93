from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrnn import Experiment, run_trials
from jaxrnn.errors import InputError
from jaxrnn.training.compiling import CPU_OPTIONS
from jaxrnn.training.optimizers import (
    CLIPPINGS,
    OPTIMIZERS,
    _squares,
    clipped_adam,
    clipped_adamw,
    clipped_rmsprop,
    clipped_sgd,
)

# optax's Adam relies on the promotion of its step count.
standard_promotion = pytest.mark.usefixtures("standard_promotion")

PARAMS = {"w": np.array([[0.5, -1.0], [2.0, 0.25]], np.float32), "b": np.zeros(3, np.float32)}
GRADS = {
    "w": np.array([[0.1, -7.0], [30.0, -0.2]], np.float32),
    "b": np.array([-5.0, 4.9, 0.0], np.float32),
}


@partial(jax.jit, static_argnames="clipping")
def update(
    learning_rate: jax.Array, clip: jax.Array, clipping: str = "element"
) -> dict[str, jax.Array]:
    optimizer = clipped_sgd(learning_rate, clip, clipping)
    params, grads = (jax.tree.map(jnp.asarray, tree) for tree in (PARAMS, GRADS))
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    return optax.apply_updates(params, updates)


def by_formula(learning_rate: float, clip: float) -> dict[str, np.ndarray]:
    return {
        name: PARAMS[name] - learning_rate * np.minimum(np.maximum(grad, -clip), clip)
        for name, grad in GRADS.items()
    }


def assert_same(actual: dict, expected: dict) -> None:
    for name in PARAMS:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("learning_rate", [1.0, 0.01])
@pytest.mark.parametrize("clip", [5.0, 0.15, 1e-3])
def test_update_is_the_formula(learning_rate, clip):
    settings = np.float32(learning_rate), np.float32(clip)
    assert_same(update(*settings), by_formula(*settings))


def test_every_trial_of_a_batch_has_its_own_rate_and_bound():
    rates = np.array([1.0, 0.1, 2.0], np.float32)
    clips = np.array([5.0, np.inf, 0.05], np.float32)
    batch = jax.vmap(update)(rates, clips)
    for k, settings in enumerate(zip(rates, clips, strict=True)):
        assert_same({name: value[k] for name, value in batch.items()}, by_formula(*settings))


# The norm of GRADS over both arrays; no bound on one of them alone would give the same.
NORM = np.sqrt(sum(np.sum(np.square(grad, dtype=np.float64)) for grad in GRADS.values()))
BOUNDS = np.array([1e-3, 5.0, 0.99 * NORM, 1.01 * NORM, 1e9, np.inf], np.float32)
RATES = np.array([1.0, 0.5, 2.0, 0.1, 1.0, 0.3], np.float32)


def test_norm_of_the_whole_gradient_is_bounded_by_each_trials_own_bound():
    batch = jax.vmap(partial(update, clipping="norm"))(RATES, BOUNDS)
    unbounded = jax.vmap(partial(update, clipping="none"))(RATES, BOUNDS)
    for k, (rate, bound) in enumerate(zip(RATES, BOUNDS, strict=True)):
        for moved, factor in ((batch, min(1.0, bound / NORM)), (unbounded, 1.0)):
            expected = {name: PARAMS[name] - rate * factor * GRADS[name] for name in PARAMS}
            assert_same({name: value[k] for name, value in moved.items()}, expected)


LARGE = np.float32([1e19, -3e37, 3.4e38, 0.0])  # the second's squares overflow, all but the last


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("lanes", [1, 3, 8])
def test_a_finite_gradient_whose_squares_overflow_is_bounded_and_others_keep_their_bits(lanes):
    rng = np.random.default_rng(lanes)
    gradients = {
        name: rng.normal(size=(lanes, *shape)).astype(np.float32)
        for name, shape in (("w", (20, 30)), ("b", (7,)), ("c", (4,)))
    }
    bounds = rng.uniform(0.1, 40, lanes).astype(np.float32)  # the norms are about 25

    def clipped(gradients, bound):
        return CLIPPINGS["norm"](bound).update(gradients, optax.EmptyState())[0]

    def before(gradients, bound):
        """The formula that overflows."""
        norm = jnp.sqrt(sum(jnp.sum(_squares(gradients[name])) for name in "bcw"))
        return jax.tree.map(lambda g: g * jnp.minimum(1, bound / norm), gradients)

    programs = [jax.jit(jax.vmap(one), compiler_options=CPU_OPTIONS) for one in (clipped, before)]
    for scale in np.float32([1.0, 1e-12, 1e15]):
        scaled = {name: scale * g for name, g in gradients.items()}
        ours, formula = (program(scaled, bounds) for program in programs)
        jax.tree.map(np.testing.assert_array_equal, ours, formula)
    for large in LARGE:
        overflowing = gradients | {"b": gradients["b"] * 0 + large}
        ours = programs[0](overflowing, bounds)
        flat = {name: np.float64(g).reshape(lanes, -1) for name, g in overflowing.items()}
        norms = np.sqrt(sum((g**2).sum(1) for g in flat.values()))
        for name, g in flat.items():
            expected = g * np.minimum(1, bounds / norms)[:, None]
            np.testing.assert_allclose(ours[name].reshape(lanes, -1), expected, 1e-5, 1e-30)
    for bad in (np.inf, np.nan):  # a trial that has diverged is not mended
        ours = programs[0](gradients | {"c": gradients["c"] * 0 + np.float32(bad)}, bounds)
        assert np.isnan(ours["c"]).all()


def adam_by_formula(gradients, rate, clip, clipping):
    """Kingma & Ba 2015, algorithm 1, from PARAMS on clipped gradients, in float64."""
    params = {name: np.float64(value) for name, value in PARAMS.items()}
    m, v = ({name: np.zeros_like(value) for name, value in params.items()} for _ in range(2))
    for t, gradient in enumerate(gradients, 1):
        norm = np.sqrt(sum(np.sum(np.square(np.float64(g))) for g in gradient.values()))
        for name, g in gradient.items():
            if clipping == "element":
                g = np.clip(np.float64(g), -clip, clip)
            elif clipping == "norm":
                g = np.float64(g) * min(1.0, clip / norm)
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            step = (m[name] / (1 - 0.9**t)) / (np.sqrt(v[name] / (1 - 0.999**t)) + 1e-8)
            params[name] = params[name] - rate * step
    return params


@standard_promotion
@pytest.mark.parametrize("clipping", ["element", "norm", "none"])
def test_adam_is_the_papers_algorithm_for_each_trials_own_rate_and_bound(clipping):
    rng = np.random.default_rng(0)
    gradients = [
        {name: rng.normal(size=g.shape).astype(np.float32) * 10.0**k for name, g in GRADS.items()}
        for k in range(-2, 3)
    ]

    @jax.jit
    @jax.vmap
    def train(rate, clip):
        optimizer = clipped_adam(rate, clip, clipping)
        params = jax.tree.map(jnp.asarray, PARAMS)
        state = optimizer.init(params)
        for gradient in gradients:
            updates, state = optimizer.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        return params

    rates, clips = np.array([0.1, 0.003], np.float32), np.array([0.5, 7.0], np.float32)
    batch = train(rates, clips)
    for k in range(2):
        expected = adam_by_formula(gradients, float(rates[k]), float(clips[k]), clipping)
        for name in PARAMS:
            np.testing.assert_allclose(batch[name][k], expected[name], rtol=1e-5, atol=1e-6)


@standard_promotion
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("clipping", ["element", "norm", "none"])
def test_no_gradient_moves_nothing(clipping, make):
    # A norm of 0 must not be divided by.
    zeros = jax.tree.map(jnp.zeros_like, PARAMS)  # weights, too: they must not decay
    optimizer = make(np.float32(1.0), np.float32(5.0), clipping)
    updates, _ = optimizer.update(zeros, optimizer.init(zeros), zeros)
    assert_same(optax.apply_updates(jax.tree.map(jnp.asarray, PARAMS), updates), PARAMS)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_another_clipping_is_refused_in_one_sentence(make):
    with pytest.raises(InputError) as refusal:
        make(1.0, 5.0, "value")
    assert str(refusal.value) == "unknown clipping 'value': choose from element, none, norm"


GRADIENTS = [
    {name: rng.normal(size=g.shape).astype(np.float32) * 10.0**k for name, g in GRADS.items()}
    for rng in [np.random.default_rng(0)]
    for k in (-2, 1, 0, -1, 2, 0)
]
# Ours, its options and what optax calls the same, without a bound.
SAME = {
    "momentum": (clipped_sgd, {"momentum": 0.9}, optax.sgd(0.1, 0.9)),
    "nesterov": (
        clipped_sgd,
        {"momentum": 0.9, "nesterov": True},
        optax.sgd(0.1, 0.9, nesterov=True),
    ),
    "rmsprop": (clipped_rmsprop, {}, optax.rmsprop(0.1)),
    "tensorflow": (
        clipped_rmsprop,
        {"eps": 1e-10, "initial_scale": 1.0},
        optax.rmsprop(0.1, eps=1e-10, initial_scale=1.0),
    ),
    "torch": (
        clipped_rmsprop,
        {"decay": 0.99, "eps_in_sqrt": False},
        optax.rmsprop(0.1, 0.99, eps_in_sqrt=False),
    ),
    # optax has the learning rate inside of this momentum, which is the same while it is constant.
    "momentum of rmsprop": (
        clipped_rmsprop,
        {"momentum": 0.5, "nesterov": True},
        optax.rmsprop(0.1, momentum=0.5, nesterov=True),
    ),
    "adam": (
        clipped_adam,
        {"b1": 0.8, "b2": 0.9, "eps": 1e-3},
        optax.adam(0.1, 0.8, 0.9, 1e-3),
    ),
    "adamw": (clipped_adamw, {}, optax.adamw(0.1, weight_decay=0.01)),
    "weight decay": (
        clipped_sgd,
        {"weight_decay": 0.3},
        optax.chain(optax.add_decayed_weights(0.3), optax.sgd(0.1)),
    ),
}


def trained_by(optimizer):
    params = jax.tree.map(jnp.asarray, PARAMS)
    state = optimizer.init(params)
    for gradient in GRADIENTS:
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params


@standard_promotion
@pytest.mark.parametrize(("make", "options", "theirs"), SAME.values(), ids=SAME)
def test_every_option_means_what_it_means_in_optax(make, options, theirs):
    ours, expected = trained_by(make(0.1, 1.0, "none", **options)), trained_by(theirs)
    for name in PARAMS:
        np.testing.assert_allclose(ours[name], expected[name], rtol=2e-5, atol=1e-6)


@standard_promotion
def test_rmsprop_can_do_without_an_eps():
    """As the programs of the unitary papers: v begins at 0.001 and nothing is added to it."""
    optimizer = clipped_rmsprop(1.0, 1.0, "none", eps=0.0, initial_scale=0.001)
    updates, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS)
    for name, g in GRADS.items():
        expected = -g / np.sqrt(0.9 * 0.001 + 0.1 * g**2)
        np.testing.assert_allclose(updates[name], expected, rtol=1e-5)
    still = clipped_rmsprop(1.0, 1.0, "none", eps=0.0)
    zeros = jax.tree.map(np.zeros_like, PARAMS)
    updates, _ = still.update(zeros, still.init(zeros), zeros)
    assert_same(updates, zeros)


def test_weight_decay_knows_no_bound():
    optimizer = clipped_sgd(1.0, 0.0, weight_decay=0.5)
    updates, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS)
    assert_same(updates, {name: -0.5 * value for name, value in PARAMS.items()})


def test_an_experiment_gives_its_options_to_its_optimizer():
    sizes = {"length": 4, "trials": 2, "max_steps": 60, "window": 50}
    with pytest.raises(InputError) as refusal:
        run_trials(Experiment(optimizer_options={"beta": 1}, **sizes))
    assert str(refusal.value) == (
        "optimizer clipped_sgd takes no option 'beta': choose from momentum, nesterov, weight_decay"
    )
    with pytest.raises(InputError, match=r"^momentum 2 must be a number from 0 to below 1"):
        run_trials(Experiment(optimizer_options={"momentum": 2}, **sizes))
    plain = run_trials(Experiment(**sizes))
    assert run_trials(Experiment(optimizer_options={"momentum": 0.5}, **sizes)) != plain
