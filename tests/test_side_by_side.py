"""Which experiment is trained on which devices, and when; with runs that do nothing."""

import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import pytest
from helpers import STREAK

from jaxrnn.errors import InputError
from jaxrnn.sweeps.side_by_side import SideBySide
from jaxrnn.sweeps.work import Job


class Script:
    """Jobs, experiments of these lengths; each is compiled as long as ``compiler`` takes and lasts
    until ``is_over`` says so. The end of a length brings those that it ``brings``. If they are
    ``alike``, one batch can train any of them. Those that it ``refuses``, when they begin or are
    trained, fail."""

    def __init__(
        self,
        lengths,
        is_over=lambda script, length: True,
        compiler=lambda script, length: None,
        brings=None,
        alike=False,
        refuses=lambda lengths, when: False,
    ):
        self.waiting, self.brings, self.alike = list(lengths), brings or {}, alike
        self.is_over, self.compiler, self.events = is_over, compiler, []
        self.refuses = refuses
        self.devices = {}  # of each length
        self.batches = []  # the lengths in each

    def next(self, last=False):
        if not self.waiting:
            return None
        return self.job(-1 if last else 0)

    def job(self, place):
        return Job(replace(STREAK, length=self.waiting.pop(place)), (0,), None)

    def beside(self, job, fits):
        jobs = [job]
        while self.alike and self.waiting:
            more = self.job(0)
            if not fits([*jobs, more], STREAK.max_steps * sum(self.waiting)):
                self.waiting.insert(0, more.experiment.length)
                break
            jobs.append(more)
        return jobs[1:]

    def begin(self, jobs, devices):
        """A run that does nothing."""
        self.note("compile", jobs[0])
        lengths = [job.experiment.length for job in jobs]
        self.devices |= {length: list(devices) for length in lengths}
        self.batches.append(lengths)
        if self.refuses(lengths, "begin"):
            raise InputError(f"{lengths} is refused")
        train = partial(self.train, lengths)
        return SimpleNamespace(train=train, devices=list(devices), keep_params=False)

    def train(self, lengths, on_chunk, on_end):
        yield partial(self.compiler, self, lengths[0])
        if self.refuses(lengths, "train"):
            raise InputError(f"{lengths} is refused")
        self.events.append(("train", lengths[0]))
        while True:
            yield lambda: time.sleep(0.001)
            for k in range(len(lengths)):
                on_chunk(k, None)
            if self.is_over(self, lengths[0]):
                break
        for k, length in enumerate(lengths):
            on_end(k, [length])

    def note(self, event, job):
        self.events.append((event, job.experiment.length))

    def on_start(self, job):
        self.note("begin", job)

    def on_chunk(self, job, tally):
        self.note("chunk", job)

    def on_end(self, job, outcomes, weights):
        assert (outcomes, weights) == ([job.experiment.length], None)
        self.note("end", job)
        self.waiting += self.brings.get(job.experiment.length, ())

    def run(self, most_trials=100):
        SideBySide(self, self.begin, lambda experiment: most_trials).run()
        return self

    def lengths(self, event):
        return [length for one, length in self.events if one == event]


@pytest.fixture
def on(monkeypatch):
    """A script on so many devices, which go by their numbers."""

    def made(num_devices, *lengths, **script):
        monkeypatch.setattr(jax, "devices", lambda: list(range(num_devices)))
        return Script(*lengths, **script)

    return made


def test_on_one_device_they_are_trained_in_their_order_each_compiled_while_another_trains(on):
    script = on(1, [4, 5, 6]).run()
    assert script.events == [
        *[("begin", 4), ("compile", 4), ("train", 4), ("compile", 5), ("chunk", 4), ("end", 4)],
        *[("begin", 5), ("train", 5), ("compile", 6), ("chunk", 5), ("end", 5)],
        *[("begin", 6), ("train", 6), ("chunk", 6), ("end", 6)],
    ]


def test_the_last_are_trained_beside_the_first_and_none_waits_for_its_turn(on):
    give_up = time.monotonic() + 10

    def is_over(script, length):
        if length == 4:
            return 8 in script.lengths("chunk")
        return length < 8 or 7 in script.lengths("end") or time.monotonic() > give_up

    script = on(2, [4, 5, 6, 7, 8], is_over).run()
    assert script.lengths("begin")[:2] == [4, 8]
    assert script.lengths("end") == [4, 5, 6, 7, 8]
    # What was compiled to come after 8 is not left to wait for it.
    assert script.lengths("compile").count(7) == 2
    assert script.devices == {4: [0], 5: [0], 6: [0], 7: [0], 8: [1]}


def test_the_first_trains_before_the_others_are_begun_unless_it_is_compiled_for_long(on):
    script = on(2, [4, 5], lambda script, length: length == 5 or 5 in script.lengths("end")).run()
    assert script.events[:4] == [("begin", 4), ("compile", 4), ("train", 4), ("begin", 5)]

    def compiler(script, length):
        give_up = time.monotonic() + 10
        while length == 4 and 5 not in script.lengths("end") and time.monotonic() < give_up:
            time.sleep(0.01)

    assert on(2, [4, 5], compiler=compiler).run().lengths("end") == [5, 4]


def test_fewer_experiments_than_devices_share_them_out(on):
    script = on(5, [4, 5], lambda script, length: length == 4 or 4 in script.lengths("end")).run()
    assert (script.devices[4], script.devices[5]) == ([0, 2, 4], [1, 3])


def test_devices_that_a_run_leaves_are_there_for_the_next_one(on):
    script = on(2, [4], brings={4: [5]})
    begin = script.begin
    script.begin = lambda jobs, devices: begin(jobs, devices[: len(script.batches) + 1])
    script.run()
    assert (script.devices[4], sorted(script.devices[5])) == ([0], [0, 1])


def test_what_an_end_brings_is_trained_at_once_on_all_devices_that_are_idle(on):
    script = on(2, [4], brings={4: [5], 5: [6, 7]}).run()
    assert script.lengths("begin") == [4, 5, 6, 7]
    devices = {length: sorted(devices) for length, devices in script.devices.items()}
    assert devices == {4: [0, 1], 5: [0, 1], 6: [0], 7: [1]}

    def is_over(script, length):
        """4 lasts until all others have ended."""
        return length != 4 or len(script.lengths("end")) == 3

    script = on(2, [4, 5], is_over, brings={5: [6], 6: [7]}).run()
    assert script.lengths("end") == [5, 6, 7, 4]
    assert on(3, []).run().events == []


def test_what_fails_ahead_of_its_turn_fails_in_its_turn(on):
    script = on(
        2,
        [4, 5, 6, 7],
        lambda script, length: length == 7 or 7 in script.lengths("end"),
        refuses=lambda lengths, when: lengths == [6],
    )
    with pytest.raises(InputError, match=r"\[6\] is refused"):
        script.run()
    assert script.lengths("compile").count(6) == 2
    assert script.lengths("begin")[-1] == 6
    assert script.lengths("end") == [7]


@pytest.mark.parametrize(("devices", "batches"), [(1, [27]), (2, [14, 13]), (3, [10, 10, 7])])
def test_what_one_batch_can_train_is_shared_out_over_the_devices(devices, batches, on):
    script = on(devices, range(1000, 1027), alike=True).run()
    assert [len(batch) for batch in script.batches] == batches
    assert sorted(script.lengths("end")) == [*range(1000, 1027)]


def test_a_batch_fills_its_lanes_and_no_other_device_waits_for_it_in_the_end(on):
    assert on(1, [4, 5, 6, 7, 8], alike=True).run(2).batches == [[4, 5], [6, 7], [8]]
    assert on(2, [10, 20, 400, 500], alike=True).run().batches == [[10, 20, 400], [500]]


def test_a_job_of_a_batch_begins_once_and_the_first_before_it_is_compiled(on):
    def is_over(script, length):
        return script.lengths("chunk").count(6) == 2

    script = on(1, [4, 5, 6], is_over, alike=True).run()
    assert script.events == [
        *[("begin", 4), ("compile", 4), ("train", 4), ("chunk", 4)],
        *[("begin", 5), ("chunk", 5), ("begin", 6), ("chunk", 6)],
        *[("chunk", length) for length in (4, 5, 6)],
        *[("end", length) for length in (4, 5, 6)],
    ]


@pytest.mark.parametrize("when", ["begin", "train"])
def test_a_batch_that_is_refused_is_trained_one_by_one(on, when):
    def refuses(lengths, now):
        return now == when and (len(lengths) > 1 or lengths == [6])

    script = on(1, [4, 5, 6], alike=True, refuses=refuses)
    with pytest.raises(InputError, match=r"^\[6\] is refused"):
        script.run()
    assert script.lengths("begin") == [4, 5, 6]
    assert script.lengths("end") == [4, 5]
