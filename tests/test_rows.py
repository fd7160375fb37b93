"""A run directory is input: whatever stands in its files is taken, or refused in one sentence."""

import json
import lzma
import sys
from dataclasses import replace
from functools import partial

import pytest
from helpers import paper_rows, rows, rows_ending_at, run

import jaxrnn
from jaxrnn import Experiment, InputError, load_weights, write_report
from jaxrnn.problems import NOTEBOOK, settled
from jaxrnn.report.render import settings_in_words
from jaxrnn.store.rows import PACKED, ROWS, Trials, lines_of, read_rows, row_from

# As they stand in a file.
(TESTED,) = (
    row.values() for row in rows("lstm", 20, [1100], task="temporal_order", test_lengths=(30, 50))
)
LINES = [
    row.values()
    for row in rows("lstm", 4, [1100, None, 1090])
    + paper_rows("6a", 100, [30_000], final_wrong=[1])
]
CONFIG = {"versions": {"jax": "0.10.2"}, "device": "1 cpu device"}


OF_TRIALS = set(row_from(LINES[0]).results())


def write(out, lines, config=CONFIG):
    """A line of each row's settings and one of its results, or a text as it stands."""
    texts = []
    for line in lines:
        if isinstance(line, str):
            texts.append(line)
        else:
            texts.append(json.dumps({k: v for k, v in line.items() if k not in OF_TRIALS}))
            texts.append(json.dumps({k: v for k, v in line.items() if k in OF_TRIALS}))
    text = "".join(f"{text}\n" for text in texts)
    (out / "trials.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    text = config if isinstance(config, str) else json.dumps(config)
    (out / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))


def changed(**values):
    return [LINES[0], LINES[1] | values, *LINES[2:]]


HUGE = 10**400
WRONG = {
    "experiment": (None, 3, "a\x1b[31mb", "../up"),
    "length": (0, 4.5, True, HUGE * HUGE, [4], float("nan")),
    "layers": (True, 1.0),  # which equal the 1 of the line before
    "cell_options": ([3], {"a": {"b": 1}}),
    "test_lengths": ("x", [2.5]),
    "note": (3, {"role": {}}, {"setting": [1, 2]}),
    "trial": (None, -1, 1.0, False),
    "status": (None, "done", ["solved"]),
    "solved_at": ("x", -1, HUGE),
    "correct_at": ("x", HUGE),
    "last_above": (None, 100_000),
    "steps": (None, 0, 100_001),
    "curve": (None, [None], ["x"], [-0.1], [float("nan")], [HUGE], [True], [0.5] * 999),
    "wrong_at_lengths": ("x", [1]),
    "final_wrong": ("x", 41),
    "final_error": ("x", -1, float("nan")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_against_its_rule_is_refused_with_file_line_and_field(name, tmp_path):
    for value in WRONG[name]:
        write(tmp_path, changed(**{name: value}))
        with pytest.raises(InputError) as refused:
            read_rows(tmp_path)
        sentence = str(refused.value)
        where = "line 4 is not a row of a trial: "
        if name not in OF_TRIALS:
            where = "line 3 is not an experiment's settings: "
        assert sentence.startswith(f"{tmp_path / 'trials.jsonl'} {where}")
        assert {"experiment": "name"}.get(name, name) in sentence.replace("-", "_"), sentence
        assert sentence.isprintable(), sentence
        assert len(sentence) < 300 + len(str(tmp_path)), sentence


NOT_JSON = "line 1 is not a row of a trial: it is not JSON"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (changed(status="solved"), "its status and solved_at contradict each other"),
        (changed(status="solved", solved_at=70, steps=70), "solved_at 70 must be below its steps"),
        ([TESTED | {"wrong_at_lengths": None}], "wrong_at_lengths is not a list of a number for"),
        ([TESTED | {"wrong_at_lengths": [1]}], "wrong_at_lengths is not a list of a number for"),
        ([TESTED | {"wrong_at_lengths": [1, 1001]}], "wrong_at_lengths 1001 is above 1000"),
        ([TESTED | {"wrong_at_lengths": [1, -1]}], "wrong_at_lengths -1 must not be negative"),
        ([LINES[3] | {"final_wrong": None}], "final_wrong is missing, though it had a final_test"),
        ([{k: v for k, v in TESTED.items() if k != "clip"}], "clip is missing"),
        (
            [*LINES, LINES[1]],
            "line 10 is trial 1 of lstm at length 4 again, which stands in line",
        ),
        ([LINES[0], "[1, 2]"], "line 3 is not a row of a trial: it is not a JSON object"),
        (['{"status": "solved"}'], "line 1 is not a row of a trial: no settings stand before it"),
        (['{"experiment": "note'], NOT_JSON),
        (["[" * 100_000], NOT_JSON),
        (["9" * 5000], NOT_JSON),
        (["\udcff"], "line 1 is not a row of a trial: it is not UTF-8"),
        ([], "holds no rows yet: run its sweep first"),
    ],
)
def test_rows_that_are_damaged_or_none_are_refused(lines, sentence, tmp_path, capsys):
    write(tmp_path, lines)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    assert run("report", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {tmp_path / 'trials.jsonl'} ")
    assert sentence in error
    assert error.count("\n") == 1
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "[" * 100_000,
        "\udcff",
        json.dumps(CONFIG).replace('"1 cpu device"', "9" * 5000),
        {name: CONFIG[name] for name in CONFIG if name != "device"},
        *(CONFIG | {name: None} for name in CONFIG),
        CONFIG | {"versions": {"jax": 3}},
        CONFIG | {"versions": {"jax": "\x1b[31m"}},
        CONFIG | {"resumed": 3},
        CONFIG | {"resumed": [{"versions": {}}]},
    ],
)
def test_a_damaged_configuration_is_refused(config, tmp_path, capsys):
    write(tmp_path, LINES, config)
    assert run("report", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {tmp_path / 'config.json'} is not a run's configuration: ")
    assert error.count("\n") == 1


NAMES = ("[/red]", "[bold]x[/bold]", "a|b", "$\\frac$", "`x`", "<b>", "*x*", "back\\slash", "汉字")


@pytest.mark.filterwarnings("ignore:Glyph")  # the pictures' font has no Chinese
@pytest.mark.parametrize("field", ["cell", "experiment"])
def test_text_from_files_is_shown_as_it_stands(field, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    names = [name for name in NAMES if field != "experiment" or not set("/\\") & set(name)]
    lines = [row | {field: name} for name in names for row in LINES[:2]]
    write(tmp_path, lines, CONFIG | {"device": "[/red] | \x1b[2J"})
    assert run("report", tmp_path) == 0
    shown, text = capsys.readouterr().out, (tmp_path / "report.md").read_text()
    for name in names:
        assert name in shown
    # A table's row has as many bars as its head, save those that are escaped.
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert sum("T is the length" not in line for line in tables[0]) == 2 + len(names)
    for table in tables:
        bars = {line.replace("\\|", "").count("|") for line in table if line.startswith("|")}
        assert len(bars) == 1
    assert "\x1b" not in shown + text
    assert "\\[/red\\] \\|" in text


def test_the_settings_of_a_run_are_those_of_its_rows_each_value_once():
    made = [
        settled(Experiment(length=length, seed=seed, clip=clip, test_lengths=tested))
        for length, seed, clip, tested in ((30, 7, 5.0, (9, 7)), (4, 1, 5, (7,)))
    ]
    made += [replace(made[0], task_options={"distractors": 3}, seed=k) for k in range(20, 40)]
    words = settings_in_words(made * 2)
    told = {"lengths": "4 30", "seed": "1 to 39 (22 values)", "clip": "5.0", "mean error": "none"}
    told |= {"test lengths": "7 9", "task options": "none distractors 3", "cells": "lstm"}
    assert words | told == words
    assert "trials" not in words


@pytest.mark.parametrize("path", [None, "x" * 300, "a\0b"])
def test_what_is_no_path_is_refused(path):
    for taken in (read_rows, write_report, load_weights, partial(jaxrnn.run, NOTEBOOK.base)):
        with pytest.raises(InputError) as refused:
            taken(path)
        assert str(refused.value).endswith(" is not a path: name a file or a directory")
        assert str(refused.value).isprintable()


def test_rows_survive_json_and_those_that_are_packed_are_read_where_there_are_no_others(tmp_path):
    write(tmp_path, LINES)
    assert read_rows(tmp_path) == LINES
    (tmp_path / ROWS).write_bytes((tmp_path / ROWS).read_bytes()[:-1])  # the last line's end
    assert read_rows(tmp_path) == LINES
    whole = lzma.compress((tmp_path / ROWS).read_bytes())
    (tmp_path / PACKED).write_bytes(b"not packed")
    assert read_rows(tmp_path) == LINES
    (tmp_path / ROWS).unlink()
    for damaged in (whole[:-9], whole[:40], b"not packed", whole[:50] + b"x" + whole[51:]):
        (tmp_path / PACKED).write_bytes(damaged)
        with pytest.raises(InputError, match=r"trials\.jsonl\.xz is damaged: "):
            read_rows(tmp_path)
    (tmp_path / PACKED).write_bytes(whole)
    assert read_rows(tmp_path) == LINES
    shorter = lines_of(map(row_from, LINES), in_full=False)
    assert len(shorter) < len(lines_of(map(row_from, LINES)))
    (tmp_path / ROWS).write_bytes(shorter)
    with pytest.raises(InputError, match=r"is not an experiment's settings: .* is missing"):
        read_rows(tmp_path)
    (tmp_path / ROWS).unlink()
    (tmp_path / PACKED).write_bytes(lzma.compress(shorter))
    assert read_rows(tmp_path) == LINES


def test_rows_become_frames(tmp_path, monkeypatch):
    one = Experiment(trials=2, max_steps=2000, task="copying", task_options={"num_symbols": 4})
    two = replace(one, task="noise_free", task_options={}, learning_rate=0.5)
    held = Trials.of([*rows_ending_at(one, [1500, None]), *rows_ending_at(two, [None, 1200])])
    frame = held.to_frame()
    assert frame["solved_at"].dtype == frame["task_options.num_symbols"].dtype == "Int64"
    assert frame["solved_at"].tolist()[::3] == [1500, 1200]
    assert frame["solved_at"].isna().tolist() == [False, True, True, False]
    assert frame["task_options.num_symbols"].isna().tolist() == [False, False, True, True]
    assert frame["measure"].isna().all()
    assert "curve" not in frame
    curves = held.curves_to_frame()
    assert curves.to_numpy().tolist() == [[k, 0, 0.5] for k in range(4)]
    shown = held._repr_html_()
    assert "learning_rate" in shown
    assert "hidden_size" not in shown  # the same for all
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert held._repr_html_() is None
    with pytest.raises(InputError, match="needs pandas: pip install"):
        held.to_frame()
    (tmp_path / ROWS).write_bytes(lines_of(map(row_from, held)))
    assert type(read_rows(tmp_path)) is Trials
