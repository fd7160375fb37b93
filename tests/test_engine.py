"""Many trials as one program: neither the batch nor the chunks change what a trial computes."""

from dataclasses import replace
from functools import partial

import chex
import jax
import numpy as np
import pytest
from helpers import BY_TEST, ONE_DEVICE, STREAK, WINDOW, first_params, of_trial, params_after

from jaxrnn import Experiment
from jaxrnn.training.engine import bytes_of, first_states, lanes_of, make_program
from jaxrnn.training.parts import DECIDING, FINAL
from jaxrnn.training.trial import build

rounding = pytest.mark.usefixtures("as_users_have_it")


@rounding
@pytest.mark.parametrize("cell", [pytest.param("simple_rnn", marks=pytest.mark.slow), "lstm"])
@pytest.mark.parametrize("length", [8, pytest.param(20, marks=pytest.mark.slow)])
def test_a_trial_in_a_batch_computes_what_it_computes_alone_to_the_bit(cell, length):
    experiment = Experiment(cell=cell, length=length, trials=12)
    trial = build(experiment)
    program = make_program(trial, 300, ONE_DEVICE)

    def errors(trials):
        lanes = lanes_of(experiment, trials)
        return np.asarray(program.chunk(program.first_state(trial.init, lanes), lanes)[1])

    together = errors(range(12))
    assert np.ptp(together[-1]) > 0  # the trials differ
    for few in ([3, 3, 3], [0, 7, 2], [4, 1, 11], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]):
        np.testing.assert_array_equal(errors(few), together[:, few])


@rounding
def test_chunks_of_a_run_equal_one_long_chunk():
    trial, lanes = build(STREAK), lanes_of(STREAK)
    whole = make_program(trial, 120, ONE_DEVICE)
    program, parts = make_program(trial, 40, ONE_DEVICE), []
    first = whole.first_state(trial.init, lanes)
    state = program.first_state(trial.init, lanes)
    for start in (0, 40, 80):
        state, errors = program.chunk(state, lanes._replace(update=np.full(5, start, np.int32)))
        parts.append(errors)
    np.testing.assert_array_equal(np.concatenate(parts), whole.chunk(first, lanes)[1])


def test_a_program_that_was_compiled_ahead_is_the_one_that_runs():
    trial, lanes = build(STREAK), lanes_of(STREAK)
    chex.clear_trace_counter()
    once = trial._replace(update=chex.assert_max_traces(trial.update, n=1))
    program = make_program(once, 40, ONE_DEVICE)
    ahead = program.chunk.compile(lanes)
    assert program.chunk.compile(lanes) is ahead
    state = program.first_state(once.init, lanes)
    errors = program.chunk(state, lanes)[1]
    assert ahead.done()
    assert ahead.result().seconds > 0
    sequences, counted = program.chunk.draws(lanes), program.chunk.counted(lanes)
    state, same = ahead.result().run(program.first_state(once.init, lanes), sequences, counted)
    np.testing.assert_array_equal(errors, same)


def test_the_memory_of_a_chunk_counts_the_sequences_of_the_next_one():
    lanes = lanes_of(replace(STREAK, trials=16))
    chunk = make_program(build(STREAK), 40, ONE_DEVICE).chunk
    parts = chunk.draws(lanes)
    assert len(parts) > 1
    drawing = chunk.draws.memory(lanes)
    assert drawing[0] >= bytes_of(parts)
    assert chunk.memory(lanes) == sum(chunk.updates.memory(chunk.counted(lanes))) + sum(drawing)


@rounding
def test_only_the_lanes_that_begin_get_first_weights():
    trial, lanes = build(STREAK), lanes_of(STREAK)
    program = make_program(trial, 10, ONE_DEVICE)
    state, _ = program.chunk(program.first_state(trial.init, lanes), lanes)
    trained = jax.device_get(state.params)
    drawn = first_states(trial.init, ONE_DEVICE)(lanes_of(STREAK, [3, 0]))
    state = program.with_first(state, [(drawn, np.array([1, 4]))])
    for lane in range(5):
        trial = {1: 3, 4: 0}.get(lane)
        expected = of_trial(trained, lane) if trial is None else first_params(STREAK, trial)
        jax.tree.map(np.testing.assert_array_equal, of_trial(state.params, lane), expected)


@rounding
def test_first_weights_do_not_depend_on_how_many_are_drawn_nor_on_the_device():
    init, on = build(STREAK).init, jax.devices()

    def drawn(number, devices=on):
        parts = first_states(init, devices)(lanes_of(replace(STREAK, trials=number)))
        together = [
            np.concatenate(leaves) for leaves in zip(*map(jax.tree.leaves, parts), strict=True)
        ]
        return [leaf[:number] for leaf in together]

    all_of_them = drawn(7)
    assert np.ptp(all_of_them[0], axis=0).min() > 0  # the trials differ
    for number in (1, 3, 5):
        jax.tree.map(
            np.testing.assert_array_equal, drawn(number), [a[:number] for a in all_of_them]
        )
    assert first_states(init, on[1:]) is first_states(init, on)


@rounding
def test_a_chunk_stops_after_each_number_of_updates():
    lanes, trial = lanes_of(WINDOW), build(WINDOW)
    program = make_program(trial, 30, ONE_DEVICE)

    def first():
        return program.first_state(trial.init, lanes)

    whole, _ = program.chunk(first(), lanes)
    whole = jax.device_get(whole)
    after = params_after(WINDOW, {3, 12, 30})
    close = partial(np.testing.assert_allclose, atol=1e-6)
    counts = (0, 3, 12, 30)
    for count, state in zip(counts, program.chunk.stops(first(), lanes, counts), strict=True):
        expected = after[count] if count else jax.device_get(first().params)
        jax.tree.map(close, state.params, expected)
        last = jax.device_get(state)
    # To the bit what the whole chunk ends with, by the same compiled program.
    jax.tree.map(np.testing.assert_array_equal, last, whole)
    assert len(program.chunk.widths()) == 1


@rounding
@pytest.mark.parametrize("num_devices", [1, 2])
def test_a_trial_has_its_sequences_however_many_lanes_there_are(num_devices):
    experiment = replace(STREAK, trials=28)  # more than a program draws for at a time
    trial, some = build(experiment), [0, 13, 27]

    def errors(trials, devices):
        program, lanes = make_program(trial, 5, devices), lanes_of(experiment, trials)
        return np.asarray(program.chunk(program.first_state(trial.init, lanes), lanes)[1])

    every = errors(range(28), jax.devices()[:num_devices])
    np.testing.assert_array_equal(every[:, some], errors(some, ONE_DEVICE))


@pytest.mark.parametrize(("chosen", "precision"), [(None, "HIGHEST"), ("bfloat16", "DEFAULT")])
def test_matrix_products_have_full_precision_unless_chosen_otherwise(chosen, precision):
    experiment = Experiment(length=4, trials=2)
    lanes = lanes_of(experiment)
    with jax.default_matmul_precision(chosen):
        program = make_program(build(experiment), 3, ONE_DEVICE)
        chunk, state = program.chunk, program.zeros(lanes)
        text = chunk.updates.lower(state, chunk.draws.shapes(lanes), lanes).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    # h W and h V, and backward two for each; a sum over the other symbols; x U looks rows up
    assert len(products) == 7
    for product in products:
        assert f"precision = [{precision}, {precision}]" in product


def test_a_test_is_traced_once_even_if_jax_forgets_its_programs():
    assert not make_program(build(STREAK), 3, ONE_DEVICE).tests
    trial, lanes = build(BY_TEST), lanes_of(BY_TEST)
    chex.clear_trace_counter()

    @chex.assert_max_traces(n=1)
    def test(key, params):
        return dict(trial.tests)[DECIDING](key, params)

    once = trial._replace(tests=((DECIDING, test), (FINAL, dict(trial.tests)[FINAL])))
    program = make_program(once, 3, ONE_DEVICE)
    params = program.first_state(once.init, lanes).params
    errors = program.tests[DECIDING](params, lanes)
    assert errors.shape == (5, 24)
    assert program.tests[FINAL](params, lanes).shape == (5, 40)
    jax.clear_caches()
    np.testing.assert_array_equal(program.tests[DECIDING](params, lanes), errors)
