"""A run directory is input: whatever stands in its files is taken, or refused in one sentence."""

import json
import lzma
from functools import partial

import pytest
from helpers import paper_rows, rows, run

import jaxrnn
from jaxrnn import Experiment, InputError, load_weights, write_report
from jaxrnn.errors import Note
from jaxrnn.problems import NOTEBOOK, settled
from jaxrnn.store.config import settings_in_words
from jaxrnn.store.rows import PACKED, ROWS, experiment_of, read_rows
from jaxrnn.store.run_directory import RunDirectory

# As they stand in a file.
(TESTED,) = (
    row.values() for row in rows("lstm", 20, [1100], task="temporal_order", test_lengths=(30, 50))
)
LINES = [
    row.values()
    for row in rows("lstm", 4, [1100, None, 1090])
    + paper_rows("6a", 100, [30_000], final_wrong=[1])
]
CONFIG = {
    "settings": settings_in_words([NOTEBOOK.base]),
    "versions": {"jax": "0.10.2"},
    "device": "1 cpu device",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run directory with four rows, made by hand."""
    out = tmp_path_factory.mktemp("written")
    write(out, LINES)
    return out


def write(out, lines, config=CONFIG):
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    text = "".join(f"{text}\n" for text in texts)
    (out / "trials.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    text = config if isinstance(config, str) else json.dumps(config)
    (out / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))


def changed(**values):
    return [LINES[0], LINES[1] | values, *LINES[2:]]


HUGE = 10**400
WRONG = {
    "experiment": (None, 3, "", "a\nb", "a\x1b[31mb", "../up", "a/b", ".hidden", ["x"]),
    "cell": (None, 3, "", "x\ty", {"a": 1}),
    "task": (None, 7, "\r"),
    "length": (None, 0, -4, 4.5, "4", True, HUGE * HUGE, [4], float("nan")),
    "trial": (None, -1, 1.0, "1", False, float("nan")),
    "seed": (None, -1, 2**32, 0.0, "0"),
    "status": (None, "done", 1, "Solved", ["solved"]),
    "solved_at": ("x", -1, 3.0, True, HUGE),
    "correct_at": ("x", -1, HUGE),
    "last_above": (None, -1, "x", 100_000, HUGE, True),
    "steps": (None, 0, -1, 100_001, "x", HUGE, True),
    "curve": (None, "x", 3, [None], ["x"], [-0.1], [float("nan")], [HUGE], [True], [0.5] * 999),
    "hidden_size": (None, 0, 2.5, "20", True),
    "layers": (None, 0),
    "learning_rate": (None, "x", 0, -1.0, float("inf"), HUGE, True, {}),
    "forget_bias": (None, "x", float("nan"), HUGE),
    "threshold": (None, 0, 1, "x", float("nan")),
    "window": (None, 0, 1.5, 100_001),
    "max_steps": (None, 0, 2**31, HUGE, "x"),
    "mean_error": ("x", 0, -1, float("nan"), float("inf")),
    "cell_options": (None, 3, "x", [3], {"a": {"b": 1}}, {"no name": 1}),
    "test_lengths": (None, 3, "x", [0], [2.5], {"a": 1}),
    "wrong_at_lengths": ("x", 3, [1]),
    "final_wrong": ("x", -1, 1.5, 41),
    "final_error": ("x", -1, float("nan")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_against_its_rule_is_refused_with_file_line_and_field(name, tmp_path, written):
    for value in WRONG[name]:
        write(tmp_path, changed(**{name: value}))
        with pytest.raises(InputError) as refused:
            read_rows(tmp_path)
        sentence = str(refused.value)
        assert sentence.startswith(f"{tmp_path / 'trials.jsonl'} line 2 is not a row of a trial: ")
        assert {"experiment": "name"}.get(name, name) in sentence.replace("-", "_"), sentence
        assert sentence.isprintable(), sentence
        assert len(sentence) < 300 + len(str(tmp_path)), sentence


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (changed(status="solved"), "its status and solved_at contradict each other"),
        (changed(solved_at=5), "its status and solved_at contradict each other"),
        (changed(status="solved", solved_at=70, steps=70), "solved_at 70 must be below its steps"),
        ([TESTED | {"wrong_at_lengths": None}], "wrong_at_lengths is not a list of a number for"),
        ([TESTED | {"wrong_at_lengths": [1]}], "wrong_at_lengths is not a list of a number for"),
        ([TESTED | {"wrong_at_lengths": [1, 1001]}], "wrong_at_lengths 1001 is above 1000"),
        ([TESTED | {"wrong_at_lengths": [1, -1]}], "wrong_at_lengths -1 must not be negative"),
        ([LINES[3] | {"final_wrong": None}], "final_wrong is missing, though it had a final_test"),
        ([*LINES, LINES[1]], "line 5 is trial 1 of lstm at length 4 again, which stands in line 2"),
        ([LINES[0], "[1, 2]"], "line 2 is not a row of a trial: it is not a JSON object"),
        ([LINES[0], "", LINES[1]], "line 2 is not a row of a trial: it is not JSON"),
        ([LINES[0], '{"experiment": "note'], "line 2 is not a row of a trial: it is not JSON"),
        (["[" * 100_000], "line 1 is not a row of a trial: it is not JSON"),
        (['{"a":' * 100_000], "line 1 is not a row of a trial: it is not JSON"),
        (["9" * 5000], "line 1 is not a row of a trial: it is not JSON"),
        (["\udcff"], "line 1 is not a row of a trial: it is not UTF-8"),
        (["\x00"], "line 1 is not a row of a trial: it is not JSON"),
    ],
)
def test_a_damaged_line_is_refused(lines, sentence, tmp_path, capsys):
    write(tmp_path, lines)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    assert run("report", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {tmp_path / 'trials.jsonl'} line ")
    assert sentence in error
    assert error.count("\n") == 1
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", LINES[0])
def test_a_field_that_is_missing_is_named(name, tmp_path):
    write(tmp_path, [LINES[0], {k: v for k, v in LINES[1].items() if k != name}])
    with pytest.raises(InputError) as refused:
        read_rows(tmp_path)
    where = f"{tmp_path / 'trials.jsonl'} line 2"
    assert str(refused.value) == f"{where} is not a row of a trial: its '{name}' is missing"


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        "\udcff",
        {},
        *({k: v for k, v in CONFIG.items() if k != name} for name in CONFIG),
        *(CONFIG | {name: None} for name in CONFIG),
        CONFIG | {"versions": {"jax": 3}},
        CONFIG | {"versions": {"jax": "\x1b[31m"}},
        CONFIG | {"resumed": 3},
        CONFIG | {"resumed": [3]},
        CONFIG | {"resumed": [{"versions": {}}]},
        json.dumps(CONFIG).replace('"trials": 10', f'"trials": {"9" * 5000}'),
    ],
)
def test_a_damaged_configuration_is_refused(config, tmp_path, capsys):
    write(tmp_path, LINES, config)
    assert run("report", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jaxrnn: {tmp_path / 'config.json'} is not a run's configuration: ")
    assert error.count("\n") == 1


def test_an_empty_file_of_rows_gives_no_empty_table(tmp_path, capsys):
    write(tmp_path, [])
    assert run("report", tmp_path) == 2
    assert "trials.jsonl holds no rows yet: run its sweep first" in capsys.readouterr().err
    assert not (tmp_path / "report.md").exists()


NAMES = ("[/red]", "[bold]x[/bold]", "a|b", "$\\frac$", "`x`", "<b>", "*x*", "back\\slash", "汉字")


@pytest.mark.filterwarnings("ignore:Glyph")  # the pictures' font has no Chinese
@pytest.mark.parametrize("field", ["cell", "experiment", "task"])
def test_text_from_files_is_shown_as_it_stands(field, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    names = [name for name in NAMES if field != "experiment" or not set("/\\") & set(name)]
    lines = [row | {field: name} for name in names for row in LINES[:2]]
    settings = CONFIG["settings"] | {"task": "[/x] | \x1b[31m <script>\nnext"}
    write(tmp_path, lines, CONFIG | {"settings": settings, "device": "[/red] | \x1b[2J"})
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
    assert "task \\[/x\\] \\|  \\[31m \\<script\\> next" in text


def test_a_configuration_may_hold_any_number_that_json_can(tmp_path):
    settings = {name: [10**4000, -(10**400), 0.5] for name in CONFIG["settings"]}
    write(tmp_path, LINES, CONFIG | {"settings": settings})
    write_report(tmp_path)
    other = Experiment(name="other", length=4, hidden_size=2, trials=1, window=9, max_steps=9)
    with pytest.warns(Note, match="was begun with"), RunDirectory(tmp_path) as directory:
        directory.admit([settled(other)])
    held = json.loads((tmp_path / "config.json").read_text())["settings"]
    assert held["hidden_size"] == [-(10**400), 0.5, 2, 10**4000]


def test_rows_are_read_of_a_run_directory_only(tmp_path):
    with pytest.raises(InputError, match=r"none holds no trials\.jsonl: name a run directory"):
        read_rows(tmp_path / "none")


@pytest.mark.parametrize("path", [None, 3, b"x", ["x"], "x" * 300, "a\0b"])
@pytest.mark.parametrize(
    "taken", [read_rows, write_report, load_weights, partial(jaxrnn.run, jaxrnn.NOTEBOOK.base)]
)
def test_what_is_no_path_is_refused(taken, path):
    with pytest.raises(InputError) as refused:
        taken(path)
    assert str(refused.value).endswith(" is not a path: name a file or a directory")
    assert str(refused.value).isprintable()


def test_packed_rows_are_read_where_there_are_no_others(written, tmp_path):
    directory = tmp_path / "packed"
    directory.mkdir()
    whole = lzma.compress((written / ROWS).read_bytes())
    (directory / PACKED).write_bytes(whole)
    assert read_rows(directory) == read_rows(written)
    for damaged in (whole[:-9], whole[:40], b"not packed", whole[:50] + b"x" + whole[51:]):
        (directory / PACKED).write_bytes(damaged)
        with pytest.raises(InputError, match=r"trials\.jsonl\.xz is damaged: "):
            read_rows(directory)
    (directory / ROWS).write_bytes((written / ROWS).read_bytes())
    assert read_rows(directory) == read_rows(written)


def test_a_row_is_known_by_what_it_says_not_by_how(written):
    row = LINES[3]
    backwards = dict(reversed(row.items()))
    options = dict(reversed(row["cell_options"].items()))
    assert len(options) > 1
    whole = row | {"cell_options": options, "learning_rate": row["learning_rate"], "clip": 5}
    assert experiment_of(row) == experiment_of(backwards) == experiment_of(whole)
    assert experiment_of(row) != experiment_of(row | {"clip": 4.0})


def test_rows_survive_json_and_need_no_line_break_at_the_end(written, tmp_path):
    assert read_rows(written) == LINES
    (tmp_path / ROWS).write_bytes((written / ROWS).read_bytes()[:-1])
    assert read_rows(tmp_path) == LINES
