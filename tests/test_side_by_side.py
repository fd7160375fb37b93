"""Which experiment is trained on which devices, and when; with runs that do nothing."""

import time
from dataclasses import replace
from functools import partial

import jax
import pytest
from helpers import STREAK

from jaxrnn.errors import InputError
from jaxrnn.sweeps.side_by_side import SideBySide
from jaxrnn.sweeps.work import Job


class Script:
    """Jobs, experiments of these lengths; each is compiled as long as ``compiler`` takes and lasts
    until ``is_over`` says so. The end of a length brings those that it ``brings``."""

    def __init__(
        self,
        lengths,
        is_over=lambda script, length: True,
        compiler=lambda script, length: None,
        brings=None,
    ):
        self.waiting, self.brings = list(lengths), brings or {}
        self.is_over, self.compiler, self.events = is_over, compiler, []
        self.devices = {}  # of each length

    def next(self, last=False):
        if not self.waiting:
            return None
        return Job(replace(STREAK, length=self.waiting.pop(-1 if last else 0)), (0,), None)

    def begin(self, job, devices):
        self.note("compile", job)
        self.devices[job.experiment.length] = list(devices)
        return FakeRun(self, job.experiment.length)

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

    def run(self):
        SideBySide(self, self.begin).run()

    def lengths(self, event):
        return [length for one, length in self.events if one == event]


class FakeRun:
    """Of one experiment in a script."""

    keep_params = False

    def __init__(self, script, length):
        self.script, self.length = script, length

    @property
    def devices(self):
        return self.script.devices[self.length]

    def train(self, on_chunk):
        yield partial(self.script.compiler, self.script, self.length)
        self.script.events.append(("train", self.length))
        while True:
            yield lambda: time.sleep(0.001)
            on_chunk(None)
            if self.script.is_over(self.script, self.length):
                break

    def outcomes(self):
        return [self.length]


@pytest.fixture(autouse=True)
def devices(request, monkeypatch):
    """So many devices, by number."""
    devices = list(range(request.param))
    monkeypatch.setattr(jax, "devices", lambda: devices)


@pytest.mark.parametrize("devices", [1], indirect=True)
def test_on_one_device_they_are_trained_in_their_order_each_compiled_while_another_trains(devices):
    script = Script([4, 5, 6])
    script.run()
    assert script.events == [
        *[("begin", 4), ("compile", 4), ("train", 4), ("compile", 5), ("chunk", 4), ("end", 4)],
        *[("begin", 5), ("train", 5), ("compile", 6), ("chunk", 5), ("end", 5)],
        *[("begin", 6), ("train", 6), ("chunk", 6), ("end", 6)],
    ]


@pytest.mark.parametrize("devices", [2], indirect=True)
def test_the_last_are_trained_beside_the_first_and_none_waits_for_its_turn(devices):
    def is_over(script, length):
        if length == 4:
            return 8 in script.lengths("chunk")
        return length < 8 or 7 in script.lengths("end")

    script = Script([4, 5, 6, 7, 8], is_over)
    script.run()
    assert script.lengths("begin")[:2] == [4, 8]
    assert script.lengths("end") == [4, 5, 6, 7, 8]
    # What was compiled to come after 8 is not left to wait for it.
    assert script.lengths("compile").count(7) == 2
    assert script.devices == {4: [0], 5: [0], 6: [0], 7: [0], 8: [1]}


@pytest.mark.parametrize("devices", [2], indirect=True)
def test_the_first_trains_before_the_others_are_begun(devices):
    script = Script([4, 5], lambda script, length: length == 5 or 5 in script.lengths("end"))
    script.run()
    assert script.events[:4] == [("begin", 4), ("compile", 4), ("train", 4), ("begin", 5)]


@pytest.mark.parametrize("devices", [2], indirect=True)
def test_the_others_do_not_wait_long_for_the_first_to_be_compiled(devices):
    def compiler(script, length):
        give_up = time.monotonic() + 10
        while length == 4 and 5 not in script.lengths("end") and time.monotonic() < give_up:
            time.sleep(0.01)

    script = Script([4, 5], compiler=compiler)
    script.run()
    assert script.lengths("end") == [5, 4]


@pytest.mark.parametrize("devices", [5], indirect=True)
def test_fewer_experiments_than_devices_share_them_out(devices):
    script = Script([4, 5], lambda script, length: length == 4 or 4 in script.lengths("end"))
    script.run()
    assert script.devices[4] == [0, 2, 4]
    assert script.devices[5] == [1, 3]


@pytest.mark.parametrize("devices", [2], indirect=True)
def test_devices_that_a_run_leaves_are_there_for_the_next_one(devices):
    script = Script([4], brings={4: [5]})
    begin = script.begin

    def begin_on_one(job, devices):
        return begin(job, devices[:1] if job.experiment.length == 4 else devices)

    script.begin = begin_on_one
    script.run()
    assert (script.devices[4], sorted(script.devices[5])) == ([0], [0, 1])


@pytest.mark.parametrize("devices", [2], indirect=True)
def test_what_an_end_brings_is_trained_after_it_on_all_devices_that_are_idle(devices):
    script = Script([4], brings={4: [5], 5: [6, 7]})
    script.run()
    assert script.lengths("begin") == [4, 5, 6, 7]
    assert sorted(script.lengths("end")) == [4, 5, 6, 7]
    devices = {length: sorted(devices) for length, devices in script.devices.items()}
    assert devices == {4: [0, 1], 5: [0, 1], 6: [0], 7: [1]}


@pytest.mark.parametrize("devices", [2], indirect=True)
def test_what_an_end_brings_need_not_wait_for_what_is_under_way(devices):
    def is_over(script, length):
        """4 lasts until all others have ended."""
        return length != 4 or len(script.lengths("end")) == 3

    script = Script([4, 5], is_over, brings={5: [6], 6: [7]})
    script.run()
    assert script.lengths("end") == [5, 6, 7, 4]


@pytest.mark.parametrize("devices", [3], indirect=True)
def test_none_are_none(devices):
    script = Script([])
    script.run()
    assert script.events == []


@pytest.mark.parametrize("devices", [2], indirect=True)
def test_what_fails_ahead_of_its_turn_fails_in_its_turn(devices):
    script = Script([4, 5, 6, 7], lambda script, length: length == 7 or 7 in script.lengths("end"))
    begin = script.begin

    def refuse(job, devices):
        run = begin(job, devices)
        if job.experiment.length == 6:
            raise InputError("a bad one")
        return run

    script.begin = refuse
    with pytest.raises(InputError, match="a bad one"):
        script.run()
    assert script.lengths("compile").count(6) == 2
    assert script.lengths("begin")[-1] == 6
    assert script.lengths("end") == [7]
