"""The tables and pictures of cells by tasks hold the numbers of their rows."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import (
    clopper_pearson,
    figures_of,
    first_table,
    printed,
    rows_ending_at,
    run,
    write_rows,
)
from matplotlib.backends.backend_agg import FigureCanvasAgg

from jaxrnn import SUITES
from jaxrnn.report.card import (
    solved_picture,
    solved_table,
    times_picture,
    times_rows,
)
from jaxrnn.report.compare import compare
from jaxrnn.report.summary import Study
from jaxrnn.store.rows import BESIDE, rows_beside

ENDS = {  # task, cell -> steps of solution; the reference stands neither first nor last
    ("adding", "gru"): [900, None, 4000],
    ("adding", "lstm"): [5000, 700, 6000],
    ("adding", "mine.py:mgu"): [None, None, None],
    ("noise_free", "lstm"): [1500, 2500, None],
    ("noise_free", "simple_rnn"): [None, 800, None],
}


def card_rows(ends=None):
    made = []
    for (task, cell), steps in (ENDS if ends is None else ends).items():
        suite = SUITES[f"card-{task}"]
        one = replace(suite.base, cell=cell, trials=len(steps), objective="cross_entropy")
        made += rows_ending_at(one, steps)
    return made


def bounds(steps):
    low, high = clopper_pearson(sum(step is not None for step in steps), len(steps))
    return f"{100 * low:.0f}-{100 * high:.0f}"


def test_cells_and_tasks_stand_in_the_order_of_their_suites_and_ones_own_last():
    figure = solved_picture(card_rows())
    axes = figure.axes[0]
    cells = [label.get_text() for label in axes.get_yticklabels()]
    tasks = [label.get_text().replace("\n", "_") for label in axes.get_xticklabels()]
    assert cells == ["lstm", "gru", "simple_rnn", "mine.py:mgu"]
    assert tasks == ["noise_free", "adding"]
    shares = np.ma.filled(axes.images[0].get_array(), np.nan)
    shown = [text.get_text() for text in axes.texts]
    for (task, cell), steps in ENDS.items():
        solved = sum(step is not None for step in steps)
        place = cells.index(cell), tasks.index(task)
        assert shares[place] == pytest.approx(solved / 3)
        at = {text.get_text() for text in axes.texts if text.get_position()[0] == place[1]
              and round(text.get_position()[1]) == place[0]}  # fmt: skip
        assert at == {f"{solved}/3", bounds(steps)}
    assert len(shown) == 2 * len(ENDS)
    assert np.isnan(shares).sum() == 3  # what was not run is empty
    title = "Trials solved: 4 cells on 2 tasks, 3 trials each, at most 20,000 sequences"
    assert " ".join(figure.get_suptitle().split()) == title


def test_names_as_long_as_they_get_leave_the_figures_whole():
    """On the terminal's width of a name, and two tasks, the narrowest picture of several."""
    ends = {
        (task, "mine.py:a_name_as_long_as_they_get"): steps for (task, _), steps in ENDS.items()
    }
    for figure in (solved_picture(card_rows(ends)), times_picture(card_rows(ends))):
        FigureCanvasAgg(figure).draw()
        whole = figure.get_tightbbox()
        assert whole.x0 >= 0
        assert whole.x1 <= figure.get_figwidth()


def test_the_times_have_a_dot_a_trial_the_median_and_how_many_came_to_the_cap():
    figure = times_picture(card_rows())
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_visible()}
    assert list(panels) == ["noise_free", "adding"]
    cells = ["lstm", "gru", "simple_rnn", "mine.py:mgu"]
    for (task, cell), steps in ENDS.items():
        place = cells.index(cell)
        lines = panels[task].lines
        near = [line for line in lines if len(line.get_ydata()) and
                abs(np.mean(line.get_ydata()) - place) < 0.3]  # fmt: skip
        dots = sorted(x for line in near if line.get_marker() == "." for x in line.get_xdata())
        # the scorecard counts sequences, the rows count steps from 0
        assert dots == sorted(step + 1 for step in steps if step is not None)
        middle = sorted(math.inf if step is None else step + 1 for step in steps)[1]
        medians = [x for line in near if line.get_marker() == "|" for x in line.get_xdata()]
        assert medians == ([middle] if math.isfinite(middle) else [])
        unsolved = sum(step is None for step in steps)
        counts = [note.get_text() for note in panels[task].texts if note.xy == (20_000, place)]
        assert counts == ([str(unsolved)] if unsolved else [])


@pytest.mark.parametrize("width", [30, 80, 200])
def test_the_table_has_every_count_and_interval_whatever_the_width(width):
    text = printed(width, solved_table(card_rows()))
    assert max(map(len, text.splitlines())) <= width
    found = re.findall(r"(\d/3) +(\d+-\d+)", text)
    expected = [
        (f"{sum(s is not None for s in steps)}/3", bounds(steps)) for steps in ENDS.values()
    ]
    assert sorted(found) == sorted(expected)
    blocks = text.count(" cell ")
    assert blocks == (2 if width == 30 else 1)


def test_each_net_is_compared_with_the_first_of_its_task():
    made = card_rows()
    by_net = {}
    for row in made:
        by_net.setdefault((row["task"], row["cell"]), []).append(row)
    lines = {(line.cells["task"], line.cells["net"]): line.cells for line in times_rows(made)}
    assert set(lines) == set(ENDS)
    for net, cells in lines.items():
        first = by_net[net[0], "lstm"]
        if net[1] == "lstm":
            assert "sooner" not in cells
            continue
        result = compare(by_net[net], first)
        assert cells["sooner"] == f"{100 * result.sooner:.0f}%"
        assert cells["its 95%"] == "{:.0f}-{:.0f}".format(*(100 * one for one in result.interval))
    mgu, lstm = lines["adding", "mine.py:mgu"], lines["adding", "lstm"]
    assert (mgu["solved"], mgu["median"], mgu["restricted mean"]) == ("0/3", "never", "20,000")
    # the mean of 5001, 701 and 6001, and of 1501, 2501 and the cap
    assert (lstm["median"], lstm["restricted mean"]) == ("5,001", "3,901")
    assert lines["noise_free", "lstm"]["restricted mean"] == "8,001"


def test_the_report_of_such_rows_is_such_a_table_and_two_pictures(tmp_path, capsys):
    made = card_rows()
    (tmp_path / BESIDE).mkdir()
    for directory, own in ((tmp_path, made), (tmp_path / BESIDE, made[:6])):
        write_rows(directory, own)
    assert rows_beside(tmp_path, made[3:]) == made[:3]  # no net that it has run itself
    assert run("report", tmp_path) == 0
    report = (tmp_path / "report.md").read_text()
    shown = capsys.readouterr().out
    assert "4/6" not in shown + report
    rows = first_table(report)
    assert [row[0] for row in rows[2:]] == ["lstm", "gru", "simple_rnn", "mine.py:mgu"]
    for line in times_rows(made):
        assert f"| {line.cells['task']} | {line.cells['net']} |" in report
    assert "2/3" in shown
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "solved_by_task.png",
        "times_to_success.png",
    }


def test_a_grid_and_other_experiments_are_no_such_table():
    made = card_rows()
    assert Study(made).is_card
    assert not Study([]).is_card
    other = rows_ending_at(SUITES["notebook"].at(trials=1), [1000])
    assert not Study([*made, *other]).is_card
    one = replace(SUITES["card-adding"].base, trials=2, learning_rate=(0.1, 0.2))
    grid = rows_ending_at(one, [3000, None])
    assert not Study(grid).is_card
    assert [*figures_of(grid)] == ["grid.png"]
    shorter = rows_ending_at(SUITES["card-adding"].at(length=50, trials=3), [900, None, 4000])
    assert not Study([*made, *shorter]).is_card  # two lengths of one task are not one share
    capped = rows_ending_at(SUITES["card-adding"].at("janet", trials=3, max_steps=9000), [900] * 3)
    assert not Study([*made, *capped]).is_card  # which is no comparison
