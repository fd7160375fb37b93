"""What a GPU has in common with the CPU: not the last bits, but all that docs/howto/gpu.md says."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import STREAK, WINDOW, Memory
from scipy.stats import mannwhitneyu

from jaxrnn import CELLS, SUITES, Experiment, run_trials
from jaxrnn.training import loop
from jaxrnn.training.compiling import in_full_precision
from jaxrnn.training.engine import lanes_of, make_program
from jaxrnn.training.lanes import Narrowing
from jaxrnn.training.trial import build


def gpus():
    try:
        return jax.devices("gpu")
    except RuntimeError:
        return []


NONE = "there is no GPU here: where there is, JAX_PLATFORMS=cuda,cpu pytest -m gpu"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not gpus(), reason=NONE)]
CPU = jax.devices("cpu")[:1]

CELL_OPTIONS = {"memory_blocks": {"cell_options": {"block_size": 2}}}
# Settings under which no net is chaotic, so that what was rounded stays small: from weights that
# differ by 3e-7 of themselves the CPU's errors differ by 2e-7 at most. Norms are sensitive.
RATES = {"lstm_layer_norm": 0.001}
CASES = {
    cell: Experiment(
        cell=cell,
        length=10,
        trials=6,
        learning_rate=RATES.get(cell, 0.01),
        **CELL_OPTIONS.get(cell, {}),
    )
    for cell in CELLS
}
CASES |= {  # cross-entropy is every cell's
    "half_squared_error": SUITES["6a"].at(trials=6),
    "half_squared_error_linear": SUITES["4-linear"].at(trials=6),
}


def errors_of(experiment, devices, num_steps=50):
    trial = build(experiment, devices[0].platform)
    program, lanes = make_program(trial, num_steps, devices), lanes_of(experiment)
    return np.asarray(program.chunk(program.first_state(trial.init, lanes), lanes)[1])


@pytest.mark.parametrize("case", CASES)
def test_errors_over_fifty_steps_are_those_of_the_cpu(case):
    expected = errors_of(CASES[case], CPU)
    assert np.ptp(expected[-1]) > 0  # the trials differ
    np.testing.assert_allclose(errors_of(CASES[case], gpus()[:1]), expected, atol=1e-4)


def test_products_have_all_digits_of_float32():
    a, b = np.random.default_rng(0).standard_normal((2, 64, 64)).astype(np.float32)
    with jax.default_device(gpus()[0]):
        product = np.asarray(jax.jit(in_full_precision(jnp.matmul))(a, b))
    np.testing.assert_allclose(product, a.astype(np.float64) @ b, atol=1e-4)  # TF32: 1e-2


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm"])
@pytest.mark.parametrize("length", [4, 5, 6, 7, 8])
def test_fifty_trials_take_as_long_as_on_the_cpu(cell, length):
    experiment = Experiment(cell=cell, length=length, trials=50, max_steps=20_000)

    def steps(devices):
        outcomes = run_trials(experiment, devices=devices)
        return [np.inf if one.solved_at is None else one.solved_at for one in outcomes]

    assert mannwhitneyu(steps(CPU), steps(gpus()[:1])).pvalue > 0.001  # ten comparisons


@pytest.mark.parametrize("experiment", [STREAK, WINDOW], ids=["streak", "window"])
def test_a_killed_run_goes_on_to_the_same_outcomes(experiment, monkeypatch):
    # A narrower batch may round in other ways.
    monkeypatch.setattr(Narrowing, "width", lambda *arguments: None)
    devices, memory, seen = gpus()[:1], Memory(), []
    whole = run_trials(experiment, devices=devices, chunk_steps=20)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    def kill(tally):
        seen.append(tally)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(experiment, devices=devices, chunk_steps=20, on_chunk=kill, checkpoint=memory)
    assert memory.saves
    finished = run_trials(experiment, devices=devices, chunk_steps=20, checkpoint=memory)
    assert finished == whole


def test_a_trial_that_explodes_disturbs_no_other():
    rates, clips = (1.0, 3e38, 1.0, 1.0, 1.0), (5.0, 1e30, 5.0, 5.0, 5.0)
    wild = replace(STREAK, learning_rate=rates, clip=clips)
    outcomes, others = (run_trials(one, devices=gpus()[:1]) for one in (wild, STREAK))
    assert outcomes[1].status == "diverged"
    assert [outcomes[k] for k in (0, 2, 3, 4)] == [others[k] for k in (0, 2, 3, 4)]
