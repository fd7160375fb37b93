"""The view of horizons: its tables and pictures hold what the rows say, and no more."""

import math
import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from helpers import printed, rows_ending_at, run, write_rows
from scipy.stats import beta

from jaxrnn import InputError, horizon, octaves_between
from jaxrnn.report.compare import compare
from jaxrnn.report.document import parts_of
from jaxrnn.report.horizon import octaves
from jaxrnn.report.summary import Rows, Study
from jaxrnn.yardstick import LAGS, TASKS
from jaxrnn.yardstick.pictures import growth, growth_picture, horizon_picture, shares_picture
from jaxrnn.yardstick.results import card_of, share_if_chosen_again
from jaxrnn.yardstick.view import expected_best, horizon_rows, luck_rows, times_table, view

CAP = 20_000


def ends(solved, number):
    """So many solved of so many, all at step 2,000."""
    return [2000] * solved + [None] * (number - solved)


def trials(task, cell, lag, steps, role="chosen", setting=0, rung="1", **settings):
    """Rows of a cell on a task at a lag, solved at these steps or not."""
    note = {"role": role, "setting": setting} | ({"rung": rung} if role == "search" else {})
    given = {"note": note, "trials": len(steps)} | settings
    return rows_ending_at(TASKS[task].at(cell, lag, **given), steps)


def chosen(task, cell, by_lag, **settings):
    """Fresh trials of a setting: so many solved of so many at each lag."""
    settings = {"learning_rate": 0.01, "setting": 1} | settings
    every = [trials(task, cell, lag, ends(*counts), **settings) for lag, counts in by_lag.items()]
    return [row for rows in every for row in rows]


STEEP = {32: (6, 6), 64: (6, 6), 128: (9, 9), 256: (0, 9)}


def only(rows):
    """The one net of these rows."""
    (net,) = card_of(rows).nets.values()
    return net


def test_rows_of_every_role_go_to_their_net_and_a_search_alone_shows_none():
    rows = chosen("adding", "lstm", STEEP)
    rows += trials("adding", "lstm", 16, [None] * 9, "default")
    rows += trials("adding", "lstm", 16, [500], "search")
    search = trials("adding", "gru", 16, [500], "search")
    card = card_of(rows + search)
    assert list(card.nets) == [("adding", "lstm")]
    assert sorted(only(rows).chosen) == [32, 64, 128, 256]
    assert sorted(only(rows).default) == [16]
    first, *others = view(Study(search))
    assert first.text == "There are no fresh trials yet: the search has not come to its end."
    assert others == []
    # Tasks and cells stand by families.
    tasks, cells = ("parity", "adding"), ("min_gru", "mine.py:own", "lstm", "simple_rnn")
    rows = [row for t in tasks for c in cells for row in chosen(t, c, {32: (6, 6)})]
    assert card_of(rows).tasks == ["adding", "parity"]
    assert card_of(rows).cells == ["lstm", "simple_rnn", "min_gru", "mine.py:own"]
    # The same trials may have two roles.
    both = chosen("adding", "gru", {16: (6, 6)})
    both += trials("adding", "gru", 16, [None] * 6, "default finalist", seed=1)
    assert only(both).by_role["default"] == only(both).by_role["finalist"]
    # A user's own note has no part in a horizon.
    own = replace(TASKS["adding"].base, note={"role": "search"}, trials=1)
    assert not view(Study(rows_ending_at(own, [5])))


@pytest.mark.parametrize(
    ("by_lag", "others", "sought", "expected"),
    [
        (STEEP, (6, 6), (3, 3, 3), (128, 256)),  # whichever had been chosen
        (STEEP, (0, 0), (3, 0, 0), (128, 256)),  # no other would have been
        (STEEP, (0, 0), (3, 3, 3), (64, 256)),  # another search may have chosen worse
        ({32: (6, 6), 64: (6, 6), 128: (0, 9), 256: (0, 9)}, (6, 6), (3, 3, 3), (64, 256)),
        ({32: (6, 6), 64: (6, 6), 128: (0, 9), 256: (0, 9)}, (0, 0), (3, 3, 3), (64, 128)),
    ],
)
def test_a_bound_that_rests_on_the_choice_moves_to_the_next_lag(by_lag, others, sought, expected):
    # Of two more finalists as many were solved, of six fresh trials; and of three in the search.
    rows = chosen("adding", "lstm", by_lag)
    for setting, solved in zip((2, 3), others, strict=True):
        one = {"setting": setting, "learning_rate": setting / 100}
        rows += trials("adding", "lstm", 128, ends(solved, 6), "finalist", **one)
    for setting, solved in zip((1, 2, 3), sought, strict=True):
        steps, one = ends(solved, 3), {"role": "search", "setting": setting}
        one["learning_rate"] = setting / 100
        rows += trials("adding", "lstm", 64, steps[:1], **one)
        rows += trials("adding", "lstm", 64, steps[1:], **one, rung="play-off", seed=1001)
        # Two lags decide nothing: the one that none has solved, and the one of the pilot alone.
        rows += trials("adding", "lstm", 128, [None], **one)
        rows += trials("adding", "lstm", 128, [None], **one, rung="play-off", seed=1001)
        pilot = ends(2 * (setting == 1), 2)
        rows += trials("adding", "lstm", 256, pilot, **one, rung="pilot")
    # What left the search earlier is no finalist.
    net = only(rows + trials("adding", "lstm", 16, [2000], "search", setting=4, learning_rate=0.04))
    assert net.horizon[:2] == expected
    assert net.horizon.point == net.alone.point


def test_the_share_if_chosen_again_is_the_mixture_that_can_be_computed():
    def rows(solved, number):
        return Rows(trials("adding", "lstm", 64, ends(solved, number)))

    # One finalist: Jeffreys' interval of its share.
    of_the_first = pytest.approx(beta(7.5, 2.5).ppf([0.025, 0.975]), abs=0.01)
    assert share_if_chosen_again([rows(3, 3)], [rows(7, 9)]) == of_the_first
    # The second is hardly ever chosen, so the mixture is the first's.
    sought = [rows(60, 60), rows(0, 60)]
    assert share_if_chosen_again(sought, [rows(7, 9), rows(0, 9)]) == of_the_first
    # Two that are the same in the search: the second is chosen too often to leave it out.
    low, high = share_if_chosen_again([rows(3, 3), rows(3, 3)], [rows(9, 9), rows(0, 9)])
    assert low < 0.01
    assert high > 0.99


def test_the_chance_of_the_best_of_some_settings_is_that_of_all_ways_to_draw_them():
    values = [1] * 4 + [0] * 5
    for number in (1, 3, 9):
        ways = list(combinations(values, number))
        assert expected_best(4, 9, number) == pytest.approx(np.mean([max(way) for way in ways]))


def test_luck_is_a_mean_over_tasks_of_the_first_rung_without_the_default():
    rows = []
    for task, solved in (("adding", 3), ("copying", 27)):
        rows += chosen(task, "lstm", {16: (9, 9)})
        numbers = tuple(range(1, 28))
        rates = tuple(0.01 + 0.001 * k for k in range(27))
        first = 16 if task == "adding" else 8
        rows += trials(
            task, "lstm", first, ends(solved, 27), "search", numbers, learning_rate=rates
        )
        rows += trials(task, "lstm", first, [None], "search")  # the default's
        one = {"role": "search", "setting": 1, "learning_rate": 0.01}
        rows += trials(task, "lstm", first, [2000] * 3, **one, rung="play-off", seed=1001)
        rows += trials(task, "lstm", 64, [None], **one, rung="2")
    (line,) = luck_rows(card_of(rows))
    assert line.cells["best of 1"] == f"{100 * (3 / 27 + 1) / 2:.0f}"
    assert line.cells["best of 3"] == f"{100 * (expected_best(3, 27, 3) + 1) / 2:.0f}"
    assert line.cells["best of 27"] == "100"


def test_the_horizon_grows_with_the_sequences():
    rows = []
    for lag, steps in ((8, 1000), (16, 4000), (32, 15_000)):
        rows += trials("copying", "lstm", lag, [steps] * 9, learning_rate=0.01)
    rows += trials("copying", "lstm", 64, [None] * 9, learning_rate=0.01)
    # Shares of a half or more on the whole.
    half = chosen("copying", "gru", {8: (4, 9), 16: (4, 6)})
    assert growth(only(half), CAP)[-1] == (CAP, 16, True)
    (line,) = horizon_rows(card_of(half))
    assert line.cells["horizon"] == "≥16"
    curve = growth(only(rows), CAP)
    assert curve[0][0] > 1000  # before that not even the shortest is solved
    for number, point, is_beyond in curve:
        assert not is_beyond
        longest = 8 if number < 4000 else 16 if number < 15_000 else 32
        assert point == pytest.approx(longest * math.sqrt(2))
    assert curve[-1] == (CAP, pytest.approx(32 * math.sqrt(2)), False)


def test_the_pictures_hold_the_numbers():
    rows = chosen("adding", "lstm", STEEP) + chosen("adding", "gru", {16: (0, 9)})
    rows += chosen("copying", "lstm", {256: (6, 6), 512: (6, 6), 1024: (9, 9)})
    card, more = card_of(rows), [*rows, *chosen("copying", "gru", {8: (6, 6)})]
    axes = horizon_picture(card_of(more), more).axes[0]
    values = axes.images[0].get_array()
    point = horizon([32, 64, 128, 256], [6, 6, 9, 0], [6, 6, 9, 9]).point
    assert values.tolist() == [pytest.approx([point, 1024]), [8, 8]]  # half of the shortest
    words = {text.get_text() for text in axes.texts}
    assert words == {f"{point:.0f}", "128-256", "≥1,024", "<16", "≥8"}
    (hatched,) = axes.patches  # its horizon may be longer
    assert hatched.get_xy() == (0.5, 0.5)

    panels = shares_picture(card, rows).axes
    assert [axes.get_title() for axes in panels[:2]] == ["adding", "copying"]
    lstm = panels[0].lines[0]
    assert lstm.get_xdata().tolist() == [32, 64, 128, 256]
    assert lstm.get_ydata().tolist() == pytest.approx([1, 1, 1, 0], abs=0.02)

    panels = growth_picture(card, rows).axes
    line, beyond = panels[0].lines
    assert line.get_ydata()[-1] == pytest.approx(point)
    assert len(beyond.get_ydata()) == 0
    line, beyond = panels[1].lines
    assert beyond.get_ydata().tolist() == line.get_ydata().tolist()
    assert beyond.get_ydata()[-1] == 1024


def test_where_all_nets_have_one_lag_the_times_to_success_stand_beside_the_first_nets():
    times = {"lstm": [5000, 700, 6000], "gru": [900, None, 4000], "mine.py:mgu": [None] * 3}
    each = {
        cell: trials("adding", cell, 100, steps, learning_rate=0.01)
        for cell, steps in times.items()
    }
    rows = [row for of_cell in each.values() for row in of_cell]
    table = times_table(card_of(rows), ())
    lstm, gru, mgu = (line.cells for line in table.rows)
    # The mean of 5001, 701 and 6001.
    assert (lstm["lag"], lstm["median"], lstm["restricted mean"]) == ("100", "5,001", "3,901")
    assert "sooner" not in lstm
    result = compare(each["gru"], each["lstm"])
    assert gru["sooner"] == f"{100 * result.sooner:.0f}%"
    assert (mgu["solved"], mgu["median"], mgu["restricted mean"]) == ("0/3", "never", "20,000")
    assert table in parts_of(Study(rows), view)
    assert times_table(card_of([*rows, *chosen("adding", "lru", {32: (6, 6)})]), ()) is None


def test_own_rows_are_shown_on_a_terminal_below_the_kept_ones_with_the_gap(tmp_path, capsys):
    kept = chosen("adding", "lstm", STEEP)
    own = chosen("adding", "mine.py:cell", {16: (9, 9), 32: (0, 9)})
    table, solved, *_ = parts_of(Study([*kept, *own], own), view)
    assert re.search(r"lstm.*\n.*mine\.py:cell.* -3\.0", printed(80, table))
    # Trial by trial only the own ones; the report has all.
    assert re.search(r"mine\.py:cell +9/9 +0/9( +-){3} *\n", shown := printed(80, solved))
    assert "lstm" not in shown
    first, second = (line.cells for line in solved.rows)
    counts = {"32": "6/6", "64": "6/6", "128": "9/9", "256": "0/9"}
    assert first == {"task": "adding", "net": "lstm", **counts}
    assert second["16"] == "9/9"
    assert solved.headings == ("task", "net", "16", "32", "64", "128", "256")
    write_rows(tmp_path, kept)
    assert run("report", tmp_path) == 0
    assert "128-256" in capsys.readouterr().out
    assert "Solved, on adding" in (tmp_path / "report.md").read_text()
    pictures = {"horizon_by_task.png", "solved_by_lag.png", "horizon_by_sequences.png"}
    assert {path.name for path in tmp_path.glob("*.png")} == pictures


def test_octaves_over_lags_that_were_not_tried_follow_from_those_that_were():
    near, far = ([8, 16], [9, 0], [9, 9]), ([256, 512], [9, 0], [9, 9])
    gap = octaves_between(far, near, LAGS)
    assert gap.mean == pytest.approx(5)
    assert 2.5 < gap.low < gap.high < 6
    # At 8 to 64 the share comes half nearer to 1 with each octave, at 256 to 1,024 to 0.
    one = octaves([128], [2], [6], LAGS)
    assert one.mean == pytest.approx((23 / 24 + 11 / 12 + 5 / 6 + 2 / 3) + 1 / 3 + 7 / 24)
    # Between lags that were tried it lies on a line.
    assert octaves([8, 64], [6, 0], [6, 6], LAGS).mean == pytest.approx(1 + 2 / 3 + 1 / 3)
    # A lag that was not tried is not sure: its share is drawn from all that it may be.
    tried = octaves([32, 64, 128], [6, 6, 2], [6, 6, 6], LAGS)
    assert one.high - one.low > 1.3 * (tried.high - tried.low)
    # What fails at the shortest lag is not taken to solve longer ones now and then.
    fails, short = ([8], [0], [6]), ([8, 16, 32, 64], [6, 6, 4, 0], [6, 6, 6, 6])
    assert octaves_between(short, fails, LAGS).low > 1
    with pytest.raises(InputError, match="only at lengths that both have"):
        octaves_between(far, near)
