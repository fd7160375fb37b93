"""The live view of a sweep in 80 columns."""

import io
import sys
from dataclasses import replace

import pytest
from helpers import changed, rows
from rich.console import Console

from jaxrnn import NOTEBOOK
from jaxrnn.problems import settled
from jaxrnn.report.render import shortened
from jaxrnn.report.summary import summarize
from jaxrnn.report.table import sentence
from jaxrnn.sweeps import watch
from jaxrnn.sweeps.watch import Watch
from jaxrnn.training.tickets import Tally

LONG = "mine.py:my_long_cell_name_that_goes_on_and_on"


@pytest.fixture
def seen(monkeypatch):
    """Function of a watch: its live lines; what was printed for good is in its ``printed``."""
    console = Console(width=80, file=io.StringIO())
    monkeypatch.setattr(watch, "console", console)

    def lines(of):
        shown = Console(width=80, file=io.StringIO())
        shown.print(of.progress.get_renderable())
        return [line.rstrip() for line in shown.file.getvalue().splitlines()]

    lines.printed = lambda: console.file.getvalue().splitlines()
    return lines


@pytest.fixture
def clock(monkeypatch):
    """The time that the watch sees, in a list of one."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def tally(steps_taken, steps_left, **others):
    names = ("step", "solved", "unsolved", "diverged", "running", "trial_steps")
    numbers = dict.fromkeys(names, 0) | others
    return Tally(**numbers, steps_taken=steps_taken, steps_left=steps_left)


def test_no_live_line_wraps_and_a_cut_name_ends_in_an_ellipsis(seen, clock):
    settings = {"cell": LONG, "length": 10_000, "max_steps": 5_000_000, "trials": 1000}
    experiment, view = replace(NOTEBOOK.base, **settings), Watch()
    one_of_them = experiment.tickets()[0]
    view.expect(300)
    view.on_start(one_of_them)
    whole, one = seen(view)
    assert "0 of 300 nets and lengths" in whole
    for part in ("compiling", " T=10000 ", "…"):
        assert part in one
    many = {"solved": 123, "running": 877, "diverged": 45, "trial_steps": 9_999_999}
    view.on_chunk(one_of_them, tally(250, 10_000_000))
    clock[0] += 100
    view.on_chunk(one_of_them, tally(1_000_250, 9_000_000, step=4_999_999, **many))
    whole, one, words = seen(view)
    # 9 million steps at 10,000 a second.
    assert one.endswith("step 4,999,999, at most 15 min 00 s left")
    assert words == "123 solved, 877 running, 45 diverged; 100,000 steps a second"
    assert max(map(len, (whole, one, words))) <= 80
    clock[0] += 654
    ends = rows(LONG, 10_000, [12_795] * 28 + [None] * 2, name="a_suite_of_my_own")
    view.on_rows(experiment, [*ends[:-1], changed(ends[-1], status="diverged")], True)
    (line,) = seen.printed()
    assert len(line) <= 80
    for part in (" T=10000 ", "28/30 (1 diverged) solved, median 12,795", "  12 min 34 s"):
        assert part in line


def test_experiments_that_run_at_the_same_time_have_a_bar_each_and_one_sum(seen, clock):
    made = [replace(NOTEBOOK.base, length=length) for length in (100, 50, 6)]
    first, second, third = (settled(one).tickets()[0] for one in made)
    view = Watch()
    view.expect(3)
    view.on_start(first)
    view.on_start(second)
    for program, speed in ((first, 200), (second, 700)):
        view.on_chunk(program, tally(250, 1000, running=10))
        clock[0] += 2
        now = tally(500, 500, solved=1, running=9, step=500, trial_steps=2 * speed)
        view.on_chunk(program, now)
    _, one, two, words = seen(view)
    assert "T=100" in one
    assert "T=50" in two
    assert words == "2 solved, 18 running; 900 steps a second"
    clock[0] += 6
    view.on_rows(settled(made[0]), rows("lstm", 100, [1100, None]), True)
    assert len(seen(view)) == 4  # others of its program may go on
    view.on_stop(first)
    _, two, words = seen(view)
    assert "T=50" in two
    assert words == "1 solved, 9 running; 700 steps a second"
    clock[0] += 5
    view.on_rows(settled(made[1]), rows("lstm", 50, [1100, None]), True)
    view.on_stop(second)
    took = [line.rpartition("  ")[2] for line in seen.printed()]
    assert took == ["10.0 s", "15.0 s"]  # each since its own beginning
    (whole,) = seen(view)
    assert "2 of 3 nets and lengths" in whole
    view.on_start(third)  # and is compiled in its turn
    _, one = seen(view)
    assert "T=6" in one
    assert "compiling" in one
    for length in range(10, 20):  # more than there is room for
        view.on_chunk(replace(made[2], length=length).tickets()[0], tally(250, 1000, running=10))
    assert seen(view)[-2:] == ["and 3 more", "0 solved, 100 running"]


def test_the_name_is_cut_last_and_loses_its_directory_then_its_middle():
    name = "research/recurrent_cells.py:mine"
    assert shortened(name, len(name)) == name
    assert shortened(name, len(name) - 1) == "recurrent_cells.py:mine"
    assert shortened(name, 11) == "recur…:mine"
    made = summarize(rows("lstm", 9, [7000, None]))
    whole = "lstm       T=9        1/2 solved, median  never  (notebook 10/10, 11,676)"
    assert sentence(made) == sentence(made, len(whole)) == whole
    assert sentence(made, len(whole) - 1) == whole.partition("  (")[0]
    assert len(sentence(summarize(rows(LONG, 9, [7000, None])), 60)) == 60


def test_what_ones_own_code_prints_stands_above_the_live_lines(monkeypatch):
    shown = io.StringIO()
    console = Console(width=80, file=shown, force_terminal=True, color_system=None)
    monkeypatch.setattr(watch, "console", console)
    with Watch() as view:
        view.expect(1)
        view.on_start(NOTEBOOK.base.tickets()[0])
        print("half a line, ", end="")
        print("[/red] and its end\x1b[2J")
        print("to the other", file=sys.stderr)
        view.progress.refresh()
    for said in ("half a line, [/red] and its end", "to the other"):
        assert shown.getvalue().count(said) == 1
        assert "of 1 nets" in shown.getvalue().partition(said)[2]  # it is drawn again below
    assert "\x1b[2J" not in shown.getvalue()
