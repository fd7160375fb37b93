"""Verdicts: the words say what the rows say, of every kind of case, and no more."""

import re
from dataclasses import replace

import pytest
from helpers import changed, rows_ending_at, run, write_rows
from test_horizon_card import QUICK, by_search, everything, further, late, nothing, rows_of

from jaxrnn import Experiment
from jaxrnn.report import verdict
from jaxrnn.report.document import REPORT
from jaxrnn.report.render import Verdict
from jaxrnn.report.summary import Study
from jaxrnn.yardstick.protocol import Gap
from jaxrnn.yardstick.results import card_of
from jaxrnn.yardstick.verdict import _difference, on_net
from jaxrnn.yardstick.view import view

MINE = "dir/mine.py:cell"


def once(one):
    """Only the first search learns the shortest lag."""
    return 500 if one.note["search"] == 1 and one.length == 8 else None


def verdict_of(solved_at, beside=by_search, task="copying", **options):
    """On one's own cell, beside an LSTM."""
    own = [changed(row, cell=MINE) for row in rows_of(task, "gru", solved_at, **options)]
    kept = rows_of(task, "lstm", beside, **options) if beside else []
    first, *_ = view(Study([*kept, *own], own))
    assert isinstance(first, Verdict)
    (paragraph,) = first.paragraphs
    return paragraph


SURER = "To be surer: the same command with --seed 2, which measures it anew."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"solved_at": everything, "beside": nothing},
            "mine.py:cell remembers 64 time steps or more on copying, if up to 54 settings are "
            "tried (95%: at least 64). It comes farther than lstm by 4.0 octaves (95%: by more "
            "than 3.5 and less than 4.5). To go farther: the same command without --longest-lag.",
        ),
        (
            {"solved_at": by_search},
            "mine.py:cell remembers 16 time steps on copying, if up to 54 settings are tried "
            "(95%: at least 8). It is not told apart from lstm (+0.0 octaves, 95%: -0.5 to "
            f"+0.5). {SURER}",
        ),
        (
            {"solved_at": further},
            "mine.py:cell remembers 32 time steps on copying, if up to 54 settings are tried "
            "(95%: at least 16). It comes farther than lstm by 0.7 octaves (95%: by more than 0 "
            f"and less than 1.5). {SURER}",
        ),
        (
            {"solved_at": nothing, "beside": None},
            "mine.py:cell does not learn copying: none of 6 searches learned the shortest lag, 8 "
            "time steps, within 20,000 sequences. Nor did 6 settings within ten times as many. "
            f"{SURER}",
        ),
        (
            {"solved_at": once, "beside": everything},
            "mine.py:cell does not learn copying: only 1 of 9 searches learned the shortest lag, 8 "
            "time steps, within 20,000 sequences. It comes less far than lstm by 3.9 octaves "
            f"(95%: by more than 3 and less than 4.5). {SURER}",
        ),
        (
            {"solved_at": late, "beside": None},
            "within 20,000 sequences. It is slow: 4 of 6 settings learned that lag within 200,000, "
            "after 60,001 in the median. To see it learn: jaxrnn sweep dir/mine.py:cell "
            "--experiment horizon-copying --lengths 8 --trials 6 ",
        ),
        (
            {"solved_at": by_search, "beside": None, "protocol": QUICK},
            "mine.py:cell remembers 11 time steps on copying, if up to 12 settings are tried (95%: "
            "below 64). The farthest search comes to 32; 6 of 6 new trials of its setting do, too. "
            "To be surer: the same command without --quick.",
        ),
        (
            {"solved_at": everything, "lags": (8, 1024)},
            "mine.py:cell remembers 1,024 time steps or more on copying, if up to 54 settings are "
            "tried (95%: at least 1,024). It comes farther than lstm by ",
        ),
        (
            {"solved_at": everything, "beside": None, "lags": (8, 1024)},
            "at least 1,024). To go farther: the same command with --lags 1024 2048 4096.",
        ),
    ],
)
def test_a_horizon_in_words(given, said):
    assert said in verdict_of(**given)


def test_two_nets_are_told_apart_only_where_0_lies_outside_of_the_interval():
    for low, high in ((-0.5, 0.5), (-0.5, 3.0), (0.0, 1.0), (0.5, 1.0), (-2.0, 0.0), (-2.0, 0.5)):
        mean = (low + high) / 2
        words = _difference(Gap(mean, low, high, True), "lstm")
        assert ("not told apart" in words) == (low < 0 < high)
        assert ("farther" in words) == (low >= 0)
        assert ("less far" in words) == (high <= 0)


def test_without_an_own_net_a_task_has_a_sentence():
    rows = [*rows_of("copying", "lstm", by_search), *rows_of("copying", "gru", everything)]
    rows += [*rows_of("copying", "irnn", once), *rows_of("copying", "janet", by_search)]
    first, *_ = view(Study(rows))
    assert first.paragraphs == [
        "copying: lstm 16 (95%: at least 8); farther: gru; not told apart: janet; less far: irnn."
    ]
    # A net of the package has the same sentences as an own one.
    assert on_net(card_of(rows), "copying", "gru").startswith("gru remembers 64 time steps or more")


LSTM = Experiment(cell="lstm", length=10, trials=4)
ALL, HALF, NONE = (1200, 1300, 1400, 1500), (1200, None, 1300, None), (None,) * 4


def of_sweep(*nets):
    """Of (cell, length, steps of solution); the last is shown."""
    rows = []
    for cell, length, steps in nets:
        one = replace(LSTM, cell=cell, length=length, trials=len(steps))
        rows += rows_ending_at(one, steps)
    return [one for part in verdict.view(Study(rows)) for one in part.paragraphs]


@pytest.mark.parametrize(
    ("nets", "said"),
    [
        (
            [("lstm", 10, ALL)],
            "lstm on noise_free: 4 of 4 trials solved at T = 10 (95%: 40-100 %), after 1,350 "
            "sequences in the median. To be surer: the same command with --trials 16.",
        ),
        (
            [("lstm", 10, HALF)],
            "lstm on noise_free: 2 of 4 trials solved at T = 10 (95%: 7-93 %), within 100,000 "
            "sequences. To be surer: the same command with --trials 16.",
        ),
        (
            [("lstm", 10, NONE)],
            "lstm on noise_free: 0 of 4 trials solved at T = 10 (95%: 0-60 %), within 100,000 "
            "sequences. To know whether it is slow: the same command with --max-steps 1000000.",
        ),
        (
            [("lstm", 30, NONE * 3), ("lstm", 10, ALL * 3), ("lstm", 20, HALF), ("lstm", 40, NONE)],
            "lstm on noise_free: solved in at least half of the trials at T = 10 to 20, none at T "
            "= 30 to 40 (95%: half are solved up to at least 10 and below 30). To be surer: the "
            "same command with --trials 16.",
        ),
        (
            [("lstm", 10, ALL), ("lstm", 20, (1200, *NONE)), ("lstm", 40, ALL)],
            "at T = 10 and 40, fewer at T = 20. To go "
            "farther: the same command with --lengths 80 160.",
        ),
        (
            [("simple_rnn", 10, ALL * 3), ("lstm", 10, [step + 500 for step in ALL * 3])],
            "It is solved later than simple_rnn at T = 10. To be",
        ),
        (
            [("simple_rnn", 10, NONE * 3), ("lstm", 10, ALL * 3)],
            "It is solved sooner than simple_rnn at T = 10. To be",
        ),
        (
            [("simple_rnn", 10, NONE), ("lstm", 10, HALF)],
            "It is not told apart from simple_rnn at T = 10. To be",
        ),
    ],
)
def test_a_sweep_in_words(nets, said):
    assert said in of_sweep(*nets)[-1]


def test_the_users_own_nets_alone_are_judged_beside_a_net_that_is_not_their_own():
    others = [(f"cell_{k}", 10, ALL) for k in range(verdict.MOST)]
    assert len(of_sweep(*others)) == verdict.MOST
    assert of_sweep(*others, ("lstm", 10, ALL)) == []
    (words,) = of_sweep((MINE, 10, ALL * 3), *others, ("lstm", 10, NONE))
    assert "mine.py:cell on noise_free: 12 of 12 trials" in words
    assert "It is not told apart from cell_0 at T = 10." in words
    diverged = changed(rows_ending_at(replace(LSTM, trials=1), [None])[0], status="diverged")
    (part,) = verdict.view(Study([diverged]))
    assert "sequences. 1 trial diverged. To know" in part.paragraphs[0]
    grid = [
        row for rate in (0.1, 1.0) for row in rows_ending_at(replace(LSTM, learning_rate=rate), ALL)
    ]
    assert verdict.view(Study(grid)) == []


def test_it_is_the_first_that_is_said_anywhere(tmp_path, capsys):
    write_rows(tmp_path, rows_ending_at(LSTM, ALL))
    assert run("report", tmp_path) == 0
    said = "lstm on noise_free: 4 of 4 trials solved at T = 10"
    assert capsys.readouterr().out.startswith(said)
    assert (tmp_path / REPORT).read_text().splitlines()[2].startswith(f"**{said}")
    page = (tmp_path / "report.html").read_text()
    assert re.search(
        r"</header>\s*<section[^>]*><div[^>]*><p class=verdict>lstm on", page, re.DOTALL
    )
