"""The view of horizons: its tables and pictures hold what the rows say, and no more."""

import math
import re
import shlex
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers import answered, changed, printed, rows_ending_at, run, write_rows

from jaxrnn.report.document import parts_of
from jaxrnn.report.render import Field, Picture, Table, Words
from jaxrnn.report.summary import Study
from jaxrnn.yardstick import TASKS
from jaxrnn.yardstick.pictures import dots_picture, horizon_picture
from jaxrnn.yardstick.protocol import best_of, gap
from jaxrnn.yardstick.results import Remembered, card_of
from jaxrnn.yardstick.run import ends_of_range
from jaxrnn.yardstick.search import SINGLE, Net, default_of, trials_of
from jaxrnn.yardstick.sizes import nets_table
from jaxrnn.yardstick.view import horizon_rows, view

LAGS = (8, 16, 32, 64)
QUICK = replace(SINGLE, quick=True)


@cache
def rows_of(task, cell, solved_at, protocol=SINGLE, lags=LAGS):
    """All rows of a net whose trials are solved where this says."""
    net = Net(default_of(TASKS[task], cell, protocol), lags)
    return answered(trials_of(net, protocol), solved_at)[0]


def everything(one):
    return 1000


def nothing(one):
    return None


def late(one):
    return 60_000 if one.max_steps == 200_000 and one.learning_rate < 0.01 else None


def by_search(one):
    """Each search comes to another lag, search 2 to none."""
    number = one.note["search"]
    lag = {0: 16, 1: 8, 2: 0, 3: 8, 4: 16, 5: 16, 6: 32, 7: 32, 8: 64, 9: 64}[number]
    if one.note["role"] == "recipe":
        return 500 if one.learning_rate else None
    return 500 if one.length <= lag else None


def further(one):
    """An octave more than that."""
    return by_search(one) if one.length <= 8 else by_search(replace(one, length=one.length // 2))


def only(rows):
    (net,) = card_of(rows).nets.values()
    return net


def tables_of(parts):
    return [part for part in parts if isinstance(part, Table)]


def test_a_horizon_is_the_median_of_the_searches():
    net = only(rows_of("copying", "lstm", by_search))
    assert [net.found[k].lag for k in range(1, 10)] == [0, -1, 0, 1, 1, 2, 2, 3, 3]
    assert net.places == [0, -1, 0, 1, 1, 2, 2, 3, 3]
    assert (net.horizon, net.bounds) == ("16", "≥8")
    assert net.default == [1] * 6
    (line,) = horizon_rows(card_of(net.rows))
    assert (line.cells["farthest"], line.cells["its setting"]) == ("64", "6/6")
    assert (line.cells["default"], line.cells["tuning gains"]) == ("16", "-0.5")
    assert "learns late" not in line.cells
    # The second smallest is the lower bound; the second largest is the longest lag, and none.
    short = only(rows_of("copying", "gru", lambda one: by_search(one) if one.length < 64 else None))
    assert (short.horizon, short.bounds) == ("16", "8-64")


def test_two_nets_are_compared_search_by_search():
    rows = [*rows_of("copying", "lstm", by_search), *rows_of("copying", "gru", further)]
    first, second = horizon_rows(card_of(rows))
    assert "against the first" not in first.cells
    ours, theirs = (card_of(rows).nets["copying", cell] for cell in ("gru", "lstm"))
    expected = gap(ours.places, theirs.places)
    assert ours.more_than(theirs) == expected
    assert second.cells["against the first"] == f"{expected.mean:+.1f}"
    assert second.cells["its 95%"] == f"{expected.low:+g} to {expected.high:+g}"
    # Only the searches count that both have made, not those that were not needed.
    never = only(rows_of("copying", "irnn", nothing))
    assert never.places == [-1] * 9
    assert len(never.found) == 6
    assert never.more_than(theirs) == gap([-1] * 6, theirs.places[:6])
    # Lags need not double: octaves are those of the lags.
    far = only(rows_of("copying", "gru", everything, lags=(8, 20, 100)))
    assert [far.octave(place) for place in (-1, 0, 0.5, 2)] == pytest.approx(
        [2, 3, math.log2(math.sqrt(160)), math.log2(100)]
    )
    assert (far.horizon, far.bounds) == ("≥100", "≥100")


def test_what_learns_late_is_not_what_does_not_learn():
    slow, never = (
        rows_of("copying", cell, how) for cell, how in (("lstm", late), ("gru", nothing))
    )
    first, second = horizon_rows(card_of([*slow, *never]))
    assert (first.cells["horizon"], first.cells["95%"]) == ("<8", "<8")
    solved = sum(row.solved for row in slow)
    assert 0 < solved <= 6
    assert first.cells["learns late"] == f"{solved}/6 after 60,001"
    assert second.cells["learns late"] == "0/6"
    assert "its setting" not in first.cells
    axes = horizon_picture(card_of([*slow, *never])).axes[0]
    texts = {text.get_text() for text in axes.texts} - {""}
    assert texts == {"slow", "8 after 60,001", "not learned"}
    looks = [(patch.get_hatch(), patch.get_facecolor()[:3]) for patch in axes.patches]
    assert looks == [("///", (1, 1, 1)), (None, (0.75, 0.75, 0.75))]
    assert np.isnan(axes.images[0].get_array().filled(np.nan)).all()


def test_a_net_under_way_is_named_and_not_shown():
    rows = rows_of("copying", "lstm", by_search)
    for lacking in ("recipe", "again", "default"):
        some = [row for row in rows if row.experiment.note["role"] != lacking]
        (words,) = view(Study(some))
        assert words == Words("Not over, and not shown: lstm on copying.")
    assert card_of(rows[:-1]).under_way.keys() == {("copying", "lstm")}
    both = [*rows[:-1], *rows_of("copying", "gru", by_search)]
    _, nets, words, table, *_ = view(Study(both))
    assert nets.fields["copying", "lstm"] == Field("not over", "", "")
    assert words.text == "Not over, and not shown: lstm on copying."
    assert [line.cells["net"] for line in table.rows] == ["gru"]


def test_rows_of_another_protocol_are_shown_as_any_others(tmp_path, capsys):
    base = TASKS["copying"].at(trials=2, note={"role": "chosen", "setting": 3})
    old = rows_ending_at(base, [500, None])
    assert view(Study(old)) == []
    mixed = [*old, *rows_of("copying", "gru", by_search)]
    assert view(Study(mixed)) == []
    write_rows(tmp_path, old)
    assert run("report", tmp_path) == 0
    shown = capsys.readouterr().out
    assert "1/2" in shown
    assert "searches" not in shown


def test_tasks_and_cells_stand_by_families():
    cells = ("min_gru", "mine.py:own", "lstm", "simple_rnn")
    rows = [
        changed(row, cell=cell) if cell == "mine.py:own" else row
        for task in ("parity", "adding_halves")
        for cell in cells
        for row in rows_of(task, "lstm" if cell == "mine.py:own" else cell, everything, QUICK)
    ]
    card = card_of(rows)
    assert card.tasks == ["adding_halves", "parity"]
    assert card.cells == ["lstm", "simple_rnn", "min_gru", "mine.py:own"]


def test_the_tables_hold_every_search_every_share_and_the_recipe(tmp_path):
    rows = rows_of("copying", "lstm", by_search)
    main, searches, shares, bests, recipes = tables_of(view(Study(rows)))
    assert [line.cells["horizon"] for line in main.rows] == ["16"]
    (line,) = searches.rows
    assert line.cells["searches"] == "<8, 8 ×2, 16 ×2, 32 ×2, 64 ×2"
    assert line.cells["default"] == "16 ×6"
    sought = [row for row in rows if row.experiment.note["role"] == "search"]
    (line,), (best,) = shares.rows, bests.rows
    tried, solved = [], []
    for lag in LAGS:
        at = [row for row in sought if row.experiment.length == lag]
        tried.append(len(at))
        solved.append(sum(row.solved for row in at))
        assert line.cells[f"{lag}"] == f"{solved[-1]}/{tried[-1]}"
    expected = best_of(54, tried, solved)
    assert best.cells["best of 54"] == f"{[*LAGS][expected.point]}"
    assert best.cells["95% of 54"] == f"{[*LAGS][expected.low]} to {[*LAGS][expected.high]}"
    (line,) = recipes.rows
    recipe = [row.experiment for row in rows if row.experiment.note["role"] == "recipe"]
    assert {one.note["search"] for one in recipe} == {8}  # the first of those that came farthest
    assert (line.cells["lag"], line.cells["solved"], line.cells["sequences"]) == (
        "64",
        "6/6",
        "501",
    )
    words = shlex.split(line.cells["the same trials"])
    assert words[words.index("--learning-rate") + 1] == str(recipe[0].learning_rate)
    assert words[words.index("--seed") + 1] == str(recipe[0].seed)
    # At the ends of the ranges: of eight searches that chose a setting.
    ends = {line.cells["setting"]: line.cells for line in ends_of_range(card_of(rows), SINGLE)}
    assert ends["rate"]["chosen"] == "8"
    (line,) = nets_table(rows, {"lstm": 1.0})
    assert line.cells["trials"] == str(len(rows))


def test_quick_horizons_say_so():
    _, _, words, table, *_ = view(Study(rows_of("copying", "lstm", by_search, QUICK)))
    assert "horizons of those who try 12 settings" in words.text
    assert "up to 12 settings" in table.legend
    assert "default" not in table.rows[0].cells


def test_the_pictures_hold_the_numbers():
    rows = [
        *rows_of("copying", "lstm", by_search),
        *rows_of("copying", "gru", everything),
        *rows_of("parity", "lstm", by_search),
    ]
    card = card_of(rows)
    axes = horizon_picture(card).axes[0]
    values = axes.images[0].get_array().filled(np.nan)
    np.testing.assert_allclose(values, [[16, 16], [64, np.nan]])
    assert {text.get_text() for text in axes.texts} == {"16", "≥8", "≥64"}
    panels = dots_picture(card).axes
    assert [axes.get_title() for axes in panels[:2]] == ["copying", "parity"]
    dots = [line for line in panels[0].lines if line.get_marker() == "."]
    of_lstm = [
        (round(x), len(line.get_xdata()))
        for line in dots
        for x in line.get_xdata()[:1]
        if abs(line.get_ydata()[0]) < 0.5
    ]
    assert of_lstm == [(4, 1), (8, 2), (16, 2), (32, 2), (64, 2)]
    bar = panels[0].lines[0].get_xdata()
    assert bar[0] == 8
    assert bar[1] > panels[0].get_xlim()[1]  # open: the second largest is the longest lag
    short = rows_of("copying", "gru", lambda one: by_search(one) if one.length < 64 else None)
    bar = dots_picture(card_of(short)).axes[0].lines[0].get_xdata()
    assert list(bar) == [8, 64]  # below twice the second largest


def test_own_rows_are_shown_on_a_terminal_below_the_kept_ones(tmp_path, capsys):
    kept = rows_of("copying", "lstm", by_search)
    own = [changed(row, cell="mine.py:cell") for row in rows_of("copying", "gru", further)]
    table, searches, *_ = tables_of(parts_of(Study([*kept, *own], own), view))
    assert re.search(r"lstm.*\n.*mine\.py:cell.* \+0\.\d", printed(80, table))
    # Search by search only the own ones; the report has all.
    shown = printed(80, searches)
    assert "mine.py:cell" in shown
    assert "lstm" not in shown
    assert len(searches.rows) == 2
    write_rows(tmp_path, kept)
    assert run("report", tmp_path) == 0
    assert "≥8" in capsys.readouterr().out
    assert {path.name for path in tmp_path.glob("*.png")} == {"horizon_by_search.png"}
    # Where all are own ones, all are shown.
    assert "lstm" in printed(80, tables_of(parts_of(Study(kept), view))[1])


def test_one_task_has_its_cells_in_the_order_of_their_horizons_and_the_own_ones_bold():
    own = [changed(row, cell="mine.py:cell") for row in rows_of("copying", "gru", further)]
    rows = [*rows_of("copying", "lstm", by_search), *rows_of("copying", "irnn", nothing)]
    rows += [*rows_of("copying", "janet", late), *own, *rows_of("copying", "gru", everything)]
    pictures = [part for part in view(Study(rows, own)) if isinstance(part, Picture)]
    assert [picture.stem for picture in pictures] == ["horizon_by_search"]
    axes = pictures[0].draw().axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["gru", "mine.py:cell", "lstm", "janet", "irnn"]
    bold = [label.get_fontweight() == "bold" for label in axes.get_yticklabels()]
    assert bold == [False, True, False, False, False]
    words = {round(text.get_position()[1]): text.get_text() for text in axes.texts}
    assert words == {3: "learns 8 after 60,001", 4: "does not learn 8"}
    medians = [line for line in axes.lines if line.get_marker() == "|"]
    at = {int(line.get_ydata()[0]): float(line.get_xdata()[0]) for line in medians}
    assert at == {0: 64, 1: 32, 2: 16, 3: 4, 4: 4}
    several = [*rows, *rows_of("parity", "lstm", by_search)]
    stems = [part.stem for part in view(Study(several)) if isinstance(part, Picture)]
    assert stems == ["horizon_by_task", "horizon_by_search"]


def test_a_net_is_the_same_from_rows_in_any_order():
    rows = rows_of("copying", "lstm", by_search)
    one, other = Remembered(rows), Remembered(rows[::-1])
    assert one.found == other.found
    assert one.places == other.places
