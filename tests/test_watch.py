"""The live view of a sweep in 80 columns."""

import io
import sys
from dataclasses import replace

import pytest
from helpers import changed, rows
from rich.console import Console

from jaxrnn import NOTEBOOK
from jaxrnn.report.render import shortened
from jaxrnn.report.summary import summarize
from jaxrnn.report.table import sentence
from jaxrnn.sweeps import watch
from jaxrnn.sweeps.watch import Watch
from jaxrnn.training.members import Tally

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
    names = ("step", "solved", "unsolved", "diverged", "running", "trial_steps", "lane_steps")
    numbers = dict.fromkeys(names, 0) | others
    return Tally(**numbers, steps_taken=steps_taken, steps_left=steps_left)


@pytest.mark.parametrize("cell", ["lstm", LONG])
@pytest.mark.parametrize("length", [5, 10_000])
def test_no_live_line_wraps_and_a_cut_name_ends_in_an_ellipsis(cell, length, seen, clock):
    experiment = replace(NOTEBOOK.base, cell=cell, length=length, max_steps=5_000_000, trials=1000)
    view = Watch(300)
    view.on_start(experiment)
    whole, one = seen(view)
    assert "0 of 300 nets and lengths" in whole
    assert "compiling" in one
    assert f" T={length} " in one
    assert ("…" in one) == (cell == LONG)
    many = {"solved": 123, "running": 877, "diverged": 45, "trial_steps": 9_999_999}
    view.on_chunk(experiment, tally(250, 10_000_000))
    clock[0] += 100
    view.on_chunk(experiment, tally(1_000_250, 9_000_000, step=4_999_999, **many))
    whole, one, words = seen(view)
    assert "compiling" not in one
    # 9 million steps at 10,000 a second.
    assert one.endswith("step 4,999,999, at most 15 min 00 s left")
    assert words == "123 solved, 877 running, 45 diverged; 100,000 steps a second"
    assert max(map(len, (whole, one, words))) <= 80


def test_experiments_that_run_at_the_same_time_have_a_bar_each_and_one_sum(seen, clock):
    first, second, third = (replace(NOTEBOOK.base, length=length) for length in (100, 50, 6))
    view = Watch(3)
    view.on_start(first)
    view.on_start(second)
    for experiment, speed in ((first, 200), (second, 700)):
        view.on_chunk(experiment, tally(250, 1000, running=10))
        clock[0] += 2
        now = tally(500, 500, solved=1, running=9, step=500, trial_steps=2 * speed)
        view.on_chunk(experiment, now)
    _, one, two, words = seen(view)
    assert "T=100" in one
    assert "T=50" in two
    assert words == "2 solved, 18 running; 900 steps a second"
    clock[0] += 6
    view.on_rows(first, rows("lstm", 100, [1100, None]), True)
    _, two, words = seen(view)
    assert "T=50" in two
    assert words == "1 solved, 9 running; 700 steps a second"
    clock[0] += 5
    view.on_rows(second, rows("lstm", 50, [1100, None]), True)
    took = [line.rpartition("  ")[2] for line in seen.printed()]
    assert took == ["10.0 s", "15.0 s"]  # each since its own beginning
    (whole,) = seen(view)
    assert "2 of 3 nets and lengths" in whole
    view.on_start(third)  # and is compiled in its turn
    _, one = seen(view)
    assert "T=6" in one
    assert "compiling" in one


def test_many_experiments_of_a_batch_do_not_fill_the_terminal(seen, clock):
    view = Watch(30)
    for length in range(4, 16):
        experiment = replace(NOTEBOOK.base, length=length)
        view.on_chunk(experiment, tally(250, 1000, running=10))
    whole, *bars, more, words = seen(view)
    assert "0 of 30 nets and lengths" in whole
    assert [f"T={4 + k} " in bar for k, bar in enumerate(bars)] == [True] * 8
    assert (more, words) == ("and 4 more", "0 solved, 120 running")


@pytest.mark.parametrize("cell", ["lstm", LONG])
def test_a_finished_net_and_length_is_one_line_with_the_time_it_took(cell, seen, clock):
    view = Watch(1)
    experiment = replace(NOTEBOOK.base, cell=cell, length=100, trials=30)
    view.on_chunk(experiment, tally(250, 750, trial_steps=480, lane_steps=500))
    clock[0] += 754
    made = rows(cell, 100, [12_795] * 28 + [None] * 2, name="a_suite_of_my_own")
    made[-1] = changed(made[-1], status="diverged")
    view.on_rows(experiment, made, True)
    (line,) = seen.printed()
    assert len(line) <= 80
    assert " T=100 " in line
    assert "28/30 (1 diverged) solved, median 12,795" in line
    assert "  12 min 34 s" in line


def test_a_long_name_loses_its_directory_then_its_middle():
    name = "research/recurrent_cells.py:mine"
    assert shortened(name, len(name)) == name
    assert shortened(name, len(name) - 1) == "recurrent_cells.py:mine"
    assert shortened(name, 11) == "recur…:mine"


def test_the_name_is_cut_last(seen):
    made = summarize(rows("lstm", 9, [7000, None]))
    whole = "lstm       T=9        1/2 solved, median  never  (notebook 10/10, 11,676)"
    assert sentence(made) == whole
    assert sentence(made, len(whole)) == whole
    assert sentence(made, len(whole) - 1) == whole.partition("  (")[0]
    cut = sentence(summarize(rows(LONG, 9, [7000, None])), 60)
    assert len(cut) == 60
    name, ellipsis, end = cut.partition(" T=9 ")[0].partition("…")
    assert ellipsis
    assert LONG.startswith(name)
    assert name.startswith("mine.py:my_")
    assert LONG.endswith(end)
    assert len(end) > 5  # by which cells of one file are told apart


def test_what_ones_own_code_prints_stands_above_the_live_lines(monkeypatch):
    shown = io.StringIO()
    console = Console(width=80, file=shown, force_terminal=True, color_system=None)
    monkeypatch.setattr(watch, "console", console)
    with Watch(1) as view:
        view.on_start(NOTEBOOK.base)
        begun = len(shown.getvalue())
        print("half a line, ", end="")
        print("[/red] and its end\x1b[2J")
        print("to the other", file=sys.stderr)
        view.progress.refresh()
    after = [line.strip() for line in shown.getvalue()[begun:].replace("\r", "\n").splitlines()]
    lines = [line.rpartition("\x1b[2K")[2] for line in after]
    for said in ("half a line, [/red] and its end", "to the other"):
        assert lines.count(said) == 1
        # The live lines are drawn again below it.
        assert any("of 1 nets" in line for line in lines[lines.index(said) + 1 :])
    assert "\x1b[2J" not in shown.getvalue()
