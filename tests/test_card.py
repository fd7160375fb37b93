"""The tables and pictures of cells by tasks hold the numbers of their rows."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import clopper_pearson, first_table, rows_ending_at, run, write_rows

from jaxrnn import SUITES
from jaxrnn.report.card import solved_picture, times_rows
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
NETS, TASKS = ["lstm", "gru", "simple_rnn", "mine.py:mgu"], ["noise_free", "adding"]


def card_rows():
    made = []
    for (task, cell), steps in ENDS.items():
        suite = SUITES[f"card-{task}"]
        one = replace(suite.base, cell=cell, trials=len(steps), objective="cross_entropy")
        made += rows_ending_at(one, steps)
    return made


def test_each_net_is_compared_with_the_first_of_its_task():
    made = card_rows()
    lines = {(line.cells["task"], line.cells["net"]): line.cells for line in times_rows(made)}
    assert set(lines) == set(ENDS)
    assert [net for net, cells in lines.items() if "sooner" not in cells] == [
        (task, "lstm") for task in TASKS
    ]
    result = compare(made[:3], made[3:6])
    assert lines["adding", "gru"]["sooner"] == f"{100 * result.sooner:.0f}%"
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
    assert "4/6" not in capsys.readouterr().out + report
    heading, _, *lines = first_table(report)
    assert (heading[1:], [line[0] for line in lines]) == (TASKS, NETS)
    for line in times_rows(made):
        assert f"| {line.cells['task']} | {line.cells['net']} |" in report
    pictures = {"solved_by_task.png", "times_to_success.png"}
    assert {path.name for path in tmp_path.glob("*.png")} == pictures
    # Every share of trials is at its net and task; what was not run is empty.
    axes = solved_picture(made).axes[0]
    shares = axes.images[0].get_array()
    texts = [(text.get_text(), *np.round(text.get_position()).tolist()) for text in axes.texts]
    for (task, cell), steps in ENDS.items():
        solved, row, column = len(steps) - steps.count(None), NETS.index(cell), TASKS.index(task)
        assert shares[row, column] == pytest.approx(solved / 3)
        assert (f"{solved}/3", column, row) in texts
        low, high = clopper_pearson(solved, 3)
        bounds = f"{100 * low:.0f}-{100 * high:.0f}"
        assert (bounds, column, row) in texts
        assert lines[row][1 + column].split() == [f"{solved}/3", bounds]
    assert len(texts) == 2 * len(ENDS)
    # A grid, two lengths of a task and two caps are no such table.
    suite = SUITES["card-adding"]
    grid = rows_ending_at(suite.at(trials=2, learning_rate=(0.1, 0.2)), [3000, None])
    shorter = rows_ending_at(suite.at(length=50, trials=3), [900, None, 4000])
    capped = rows_ending_at(suite.at("janet", trials=3, max_steps=9000), [900] * 3)
    views = [Study(rows).is_card for rows in (made, grid, [*made, *shorter], [*made, *capped])]
    assert views == [True, False, False, False]
