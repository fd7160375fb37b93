"""Which program is trained on which devices, and when; with loops that do nothing."""

import time
from collections import deque
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import pytest
from helpers import STREAK

from jaxrnn.errors import InputError
from jaxrnn.experiment import Ticket
from jaxrnn.sweeps.devices import Devices


class Script:
    """Programs, of tickets of these lengths; each is compiled as long as ``compiler`` takes and
    lasts until ``is_over`` says so. The end of a length brings those that it ``brings``. One that
    it ``refuses`` fails when it begins."""

    def __init__(
        self,
        lengths,
        is_over=lambda script, length: True,
        compiler=lambda script, length: None,
        brings=None,
        refuses=lambda length: False,
    ):
        self.waiting, self.brings = list(lengths), brings or {}
        self.is_over, self.compiler, self.events = is_over, compiler, []
        self.refuses = refuses
        self.devices = {}  # of each length
        self.loops = 0

    def next(self, last=False):
        if not self.waiting:
            return None
        ticket = Ticket(replace(STREAK, length=self.waiting.pop(-1 if last else 0)), 0)
        return SimpleNamespace(waiting=deque([ticket]))

    def over(self, program):
        self.note("over", program.waiting[0])

    def begin(self, program, devices):
        """A loop that does nothing."""
        self.note("compile", program.waiting[0])
        length = program.waiting[0].experiment.length
        self.devices[length], self.loops = list(devices), self.loops + 1
        if self.refuses(length):
            raise InputError(f"{length} is refused")
        train = partial(self.train, program, length)
        return SimpleNamespace(train=train, devices=list(devices))

    def train(self, program, length):
        yield partial(self.compiler, self, length)
        self.events.append(("train", length))
        while True:
            yield lambda: time.sleep(0.001)
            program.on_chunk(None)
            if self.is_over(self, length):
                break
        self.events.append(("end", length))
        self.waiting += self.brings.get(length, ())

    def note(self, event, first):
        self.events.append((event, first.experiment.length))

    def on_start(self, first):
        self.note("begin", first)

    def on_chunk(self, first, tally):
        self.note("chunk", first)

    def on_stop(self, first):
        self.note("stop", first)

    def run(self):
        Devices(self, self.begin, self).train()
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
    ends = {length: [(one, length) for one in ("end", "stop", "over")] for length in (4, 5, 6)}
    assert script.events == [
        *[("begin", 4), ("compile", 4), ("train", 4), ("compile", 5), ("chunk", 4), *ends[4]],
        *[("begin", 5), ("train", 5), ("compile", 6), ("chunk", 5), *ends[5]],
        *[("begin", 6), ("train", 6), ("chunk", 6), *ends[6]],
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
    script.begin = lambda program, devices: begin(program, devices[: script.loops + 1])
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
        refuses=lambda length: length == 6,
    )
    with pytest.raises(InputError, match="6 is refused"):
        script.run()
    assert script.lengths("compile").count(6) == 2
    assert script.lengths("begin")[-1] == 6
    assert script.lengths("end") == [7]
