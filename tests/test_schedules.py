"""Schedules: the factor of the learning rate at each update, and the rate that a trial is trained
with."""

import math

import jax
import numpy as np
import pytest
from helpers import params_after

from jaxrnn import SCHEDULES, Experiment, run_trials
from jaxrnn.errors import InputError
from jaxrnn.training.optimizers import schedule_of


def factors(num_updates=1000, **settings):
    """The factor at each update of a trial of 1,000 updates."""
    experiment = Experiment(max_steps=1000, window=10, **settings)
    schedule = schedule_of(experiment, SCHEDULES[experiment.schedule])
    return np.asarray(jax.vmap(schedule)(np.arange(num_updates, dtype=np.int32)))


def assert_is(actual, formula):
    expected = [formula(k) for k in range(len(actual))]
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-7)


def test_a_cosine_ends_where_a_trial_is_given_up():
    actual = factors(schedule="cosine", schedule_options={"final": 0.1})
    assert_is(actual, lambda k: 0.1 + 0.9 * (1 + math.cos(math.pi * k / 1000)) / 2)
    of_batches = factors(100, schedule="cosine", batch_size=10)
    assert_is(of_batches, lambda k: (1 + math.cos(math.pi * k / 100)) / 2)


def test_the_inverse_root_is_the_transformers():
    width = 100  # of its model, which scales all rates

    def printed(k):
        """Vaswani et al. 2017, equation 3, at step k + 1."""
        return width**-0.5 * min((k + 1) ** -0.5, (k + 1) * 50**-1.5)

    actual = factors(schedule="inverse_root", warmup=50)
    # Relative to the end of the warm-up, and one update later from there on.
    assert_is(actual[:50], lambda k: printed(k) / printed(49))
    assert_is(actual[50:], lambda k: printed(k + 49) / printed(49))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [1, 7])
def test_a_warm_up_rises_in_equal_steps_and_then_the_schedule_begins(schedule, warmup):
    actual = factors(schedule=schedule, warmup=warmup)
    assert_is(actual[:warmup], lambda k: (k + 1) / warmup)
    left = 1000 - warmup

    def after(k):
        return 1.0 if schedule == "constant" else (1 + math.cos(math.pi * k / left)) / 2

    assert_is(actual[warmup:], after)


SMALL = {"length": 4, "hidden_size": 3, "trials": 3, "max_steps": 60, "window": 50}
SPEED = '''
import jax, jax.numpy as jnp, optax
def one(rate, clip, clipping):
    """Moves every weight by the learning rate, whatever the gradient."""
    return optax.stateless(lambda g, p: jax.tree.map(lambda a: jnp.full_like(a, -rate), g))
def rising(slope):
    return lambda number: 1 + slope * number
def two():
    return lambda number: jnp.ones(2)
def nothing():
    return None
number = 5
'''


@pytest.fixture(autouse=True)
def moving(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moving.py").write_text(SPEED)


@pytest.mark.parametrize(
    ("schedule", "options", "warmup", "factor"),
    [
        # Ours, any of optax and a user's own builder in a file.
        (
            "steps",
            {"every": 5, "factor": 0.5, "least": 0.2},
            4,
            lambda k: (k + 1) / 4 if k < 4 else max(0.2, 0.5 ** ((k - 4) // 5)),
        ),
        (
            "optax:exponential_decay",
            {"init_value": 1.0, "transition_steps": 100, "decay_rate": 0.5},
            0,
            lambda k: 0.5 ** (k / 100),
        ),
        ("moving.py:rising", {"slope": 0.5}, 0, lambda k: 1 + 0.5 * k),
    ],
)
def test_an_update_is_done_with_the_rate_of_its_number(schedule, options, warmup, factor):
    rates = 0.25, 0.5, 1.0  # a trial's own
    settings = {"schedule": schedule, "schedule_options": options, "warmup": warmup} | SMALL
    moving = Experiment(**settings, learning_rate=rates, optimizer="moving.py:one")
    after = params_after(moving, range(1, 21))
    weights = [after[k].bias[:, 0] for k in range(1, 21)]  # which begin at 0
    for trial, rate in enumerate(rates):
        moved = -np.diff([0.0, *(at[trial] for at in weights)])
        assert_is(moved, lambda k, rate=rate: rate * factor(k))
    for outcome in run_trials(moving, keep_params=True):  # many updates in a chunk
        moved = rates[outcome.trial] * sum(map(factor, range(outcome.steps)))
        np.testing.assert_allclose(-outcome.params.bias[0], moved, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"schedule": "linear"}, "unknown schedule 'linear': choose from constant, cosine, "),
        ({"schedule": "cosine", "warmup": 60}, "warmup 60 must be below the 60 updates that a tr"),
        ({"schedule": "steps"}, "schedule steps needs its option every: "),
        ({"schedule_options": {"end": 1}}, "schedule constant takes no options"),
        ({"warmup": 31, "batch_size": 2}, "warmup 31 must not be above 30, the updates that a "),
        ({"schedule": "moving.py:number"}, "schedule moving.py:number is 5: it has to be a func"),
        ({"schedule": "moving.py:nothing"}, "schedule moving.py:nothing gives None: it has"),
        ({"schedule": "moving.py:two"}, "schedule moving.py:two gives factors of shape (2,)"),
    ],
)
def test_what_is_no_schedule_gets_one_sentence(settings, sentence):
    with pytest.raises(InputError) as refusal:
        run_trials(Experiment(**SMALL, **settings))
    assert sentence in str(refusal.value)
