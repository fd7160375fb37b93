"""How many lanes on how many devices, and how many time steps at once."""

import jax
import pytest
from helpers import Accelerator, state_of

from jaxrnn import Experiment
from jaxrnn.problems import settled
from jaxrnn.training.engine import bytes_of
from jaxrnn.training.lanes import (
    LaneSize,
    chunk_updates_of,
    device_memory,
    enough,
    most_lanes,
    round_up,
    steps_at_once,
    together_from,
)
from jaxrnn.training.memory import check_memory
from jaxrnn.training.trial import build


def test_devices_share_the_lanes_evenly_and_have_three_at_least():
    # Fewer are compiled differently, and a trial would not be to the bit what it is else.
    sizes = [(1, 1), (5, 1), (1, 2), (5, 2), (7, 2), (9, 4)]
    assert [round_up(*one) for one in sizes] == [3, 5, 6, 6, 8, 12]


@pytest.mark.parametrize(
    ("settings", "lanes"),
    [
        ({"trials": 7}, 7),
        ({"trials": 640}, 64),  # 32 for each core
        ({"trials": 65}, 33),  # each lane has as many trials
        ({"trials": 1000, "hidden_size": 70}, 16),  # what fits its cache
        ({"trials": 1000, "hidden_size": 500}, 6),  # and three where nothing does
        # Long sequences have more residuals than weights.
        ({"trials": 640, "task": "adding", "length": 200}, 64),
        ({"trials": 1000, "task": "adding", "length": 1000}, 18),
        ({"trials": 1000, "task": "adding", "length": 10_000}, 6),
        # In batches of 32 one lane at a time has them.
        ({"trials": 1000, "task": "adding", "length": 1000, "batch_size": 32}, 63),
    ],
)
def test_lanes_are_as_many_as_fit_the_caches_of_the_cores(settings, lanes):
    experiment, devices = Experiment(**settings), jax.devices()[:1] * 2
    size = check_memory(experiment, devices=devices)
    assert size.state == bytes_of(state_of(build(settled(experiment))))
    assert most_lanes(size, experiment.trials, devices) == lanes


def test_a_second_accelerator_is_for_what_one_does_not_do_as_fast():
    cores, gpus = jax.devices()[:1] * 4, [Accelerator(None) for _ in range(4)]
    for lanes, num_cores, num_gpus in ((1, 1, 1), (10, 4, 1), (300, 4, 2), (10_000, 4, 4)):
        assert (len(enough(cores, lanes)), len(enough(gpus, lanes))) == (num_cores, num_gpus)


@pytest.mark.parametrize(
    ("memories", "trials", "lanes"),
    [
        ((1000, 1000), 7, 7),  # all of them
        ((1000, 1000), 30, 20),
        ((1000, 500), 30, 10),  # the devices share them evenly
        ((99,), 30, 0),  # for others to say that it does not fit
        ((None, 1000), 30, 20),  # nobody says how much the first has
        ((None,), 10**6, 10**6),
    ],
)
def test_accelerators_take_as_many_lanes_as_their_memory_holds(memories, trials, lanes):
    devices = [Accelerator(memory) for memory in memories]
    assert most_lanes(LaneSize(1, 1, arrays=100), trials, devices) == lanes
    assert device_memory([Accelerator()]) == float("inf")


def test_an_accelerator_takes_several_time_steps_at_once_and_leaves_few_over():
    lengths = (1, 9, 16, 19, 49, 99, 999)
    assert [steps_at_once(one, "gpu") for one in lengths] == [1, 9, 16, 9, 16, 11, 9]
    assert {steps_at_once(one, "cpu") for one in lengths} == {1}


@pytest.mark.parametrize(
    ("settings", "num_steps", "chosen", "updates"),
    [
        ({}, 10, None, 250),
        ({}, 100, None, 250),
        ({}, 200, None, 62),  # a quarter: the cost grows with the square of the length
        ({}, 1000, None, 10),
        ({"batch_size": 32}, 10, None, 7),
        ({"batch_size": 300}, 10, None, 1),
        ({}, 10, 40, 40),
        ({"max_steps": 1500}, 10, 5000, 1500),
        ({"test_size": 100, "test_every": 80, "batch_size": 32}, 10, 40, 3),
    ],
)
def test_a_chunk_has_fewer_updates_of_long_sequences_and_of_batches(
    settings, num_steps, chosen, updates
):
    experiment = settled(Experiment(**settings))
    assert chunk_updates_of(experiment, num_steps, chosen) == updates


def test_a_cpu_takes_few_sequences_one_by_one():
    for platform, has_together, least in (("cpu", True, 4), ("cpu", False, 16), ("gpu", True, 2)):
        assert together_from(platform, has_together) == least
