"""`jaxrnn horizon`: what it trains, and what it shows of one's own cell and one's own task."""

import json
import shutil
from dataclasses import replace

import pytest
from helpers import pretended, rows_ending_at, rows_of, run, write_rows
from test_rows import CONFIG

import jaxrnn
from jaxrnn import InputError, run_horizon, run_trials
from jaxrnn.errors import Note
from jaxrnn.problems import task_of
from jaxrnn.store.rows import typed_rows
from jaxrnn.yardstick import AGAIN, TASKS, has_role
from jaxrnn.yardstick.protocol import Plan
from jaxrnn.yardstick.reference import (
    begun,
    check_protocol,
    ship,
    shipped,
    shipped_beside,
    shipped_rows,
)
from jaxrnn.yardstick.results import card_of
from jaxrnn.yardstick.run import nets, suite_of
from jaxrnn.yardstick.search import SINGLE, protocol_of

TINY = replace(SINGLE, max_steps=600)
NOTE = {"role": "search", "setting": 1, "protocol": 2}

OWN = '''
import jax, jax.numpy as jnp
from jaxrnn import Sequence, Solved, Task
from jaxrnn import gru as mine, simple_rnn as plain

def echo(length):
    """Repeat the first bit at the last step."""
    if length > 32:
        from jaxrnn import InputError
        raise InputError(f"length {length} is more than echo has")
    def draw(key):
        bits = jax.random.bernoulli(key, shape=(length,)).astype(jnp.int32)
        return Sequence(bits, jnp.full(length, bits[0]), jnp.arange(length) == length - 1)
    return Task(draw, 2, 2, length, solved=Solved(threshold=0.5, window=100, max_failures=5))

def rare(length):
    """A guess is right so rarely that Python cannot say it of more than 1,023 steps."""
    return echo(8)._replace(num_steps=length, guessing=1 / 2.0**length)

'''


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(OWN)
    return path


def solved_at(one):
    """Where a trial of the simulated runs is solved: up to a lag of 16, sooner at lesser rates."""
    return 100 + int(1000 * one.learning_rate) if one.length <= 16 else None


@pytest.fixture
def few(monkeypatch):
    """Two searches of three settings and one initializer, so that little is compiled."""
    plan = Plan("full", 2, 3, 3, (3, 2), (3, 1), 1, 2, 2, 2)
    monkeypatch.setattr("jaxrnn.yardstick.search.INITIALIZERS", ("xavier",))
    for module in ("search", "results"):
        monkeypatch.setattr(f"jaxrnn.yardstick.{module}.FULL", plan)


@pytest.fixture
def simulated(few, monkeypatch):
    """And none is trained."""
    pretended(monkeypatch, solved_at)


@pytest.fixture(scope="module")
def tiny_run(own, tmp_path_factory):
    out = tmp_path_factory.mktemp("horizon") / "out"
    with pytest.MonkeyPatch.context() as patch:
        few.__wrapped__(patch)
        pretended(patch, solved_at)
        run_horizon(["gru"], [f"{own}:echo"], out, TINY)
    return out


def test_the_tasks_and_the_lags_that_they_admit(own):
    assert len(TASKS) >= 15
    assert suite_of("adding").lengths == (16, 32, 64, 128, 256, 512, 1024)
    assert suite_of(f"{own}:echo").lengths == (8, 16, 32)
    assert suite_of(f"{own}:echo").base.name == "horizon-mine.echo"
    with pytest.raises(InputError, match=r"unknown task 'parities': choose from adding, .*parity"):
        suite_of("parities")
    with pytest.raises(InputError, match="has no 'none', it has echo, rare"):
        suite_of(f"{own}:none")
    assert suite_of(f"{own}:rare").lengths == (8, 16, 32, 64, 128, 256, 512)
    with pytest.raises(InputError, match=r"length 1024 is too large for task .*:rare \("):
        task_of(replace(suite_of(f"{own}:rare").base, length=1024))
    made = nets(["gru", "gru", "lstm"], ["parity", "parity"], SINGLE)
    assert [one.base.cell for one in made] == ["gru", "lstm"]


def test_it_searches_and_the_same_call_trains_nothing(tiny_run, own, simulated, monkeypatch):
    rows = typed_rows(tiny_run)
    notes = [row.experiment.note for row in rows]
    # Search by search, then the default and the recipe.
    by_role = [(note["role"], note["search"]) for note in notes]
    assert list(dict.fromkeys(by_role)) == [
        *(("search", 1), ("again", 1), ("search", 2), ("again", 2)),
        *(("default", 0), ("recipe", 1)),
    ]
    assert {note["lags"] for note in notes} == {"8 16 32"}
    assert {note["setting"] for note in notes} == {0, 1, 2, 3}
    assert {row.experiment.max_steps for row in rows} == {600}
    kept = json.loads((tiny_run / "protocol.json").read_text())
    assert kept == {"max_steps": 600, "batch_size": 1, "match": "weights"} | {
        "longest_lag": 1024,
        "lags": [],
        "quick": False,
        "seed": 1,
        "version": 2,
    }
    (net,) = card_of(rows).nets.values()
    assert net.places == [1, 1]
    pretended(monkeypatch, None)  # a call would fail
    assert run_horizon(["gru"], [f"{own}:echo"], tiny_run, TINY) == rows_of(tiny_run)


@pytest.mark.integration
def test_its_fresh_trials_are_those_of_run_trials(own, few, tmp_path):
    run_horizon(["gru"], [f"{own}:echo"], tmp_path, replace(TINY, longest_lag=8))
    rows = [row for row in typed_rows(tmp_path) if has_role(row.experiment, AGAIN)]
    assert len(rows) == 2
    assert [[row.outcome] for row in rows] == [run_trials(row.experiment) for row in rows]
    assert any(row.outcome.solved_at for row in rows)


def test_an_own_cell_without_a_bias_to_tune_is_named_once(own, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise InputError("trains nothing")

    monkeypatch.setattr("jaxrnn.yardstick.run.open_run", refuse)
    cells = ["simple_rnn", f"{own}:mine", f"{own}:plain"]
    with pytest.warns(Note) as notes, pytest.raises(InputError, match="trains nothing"):
        run_horizon(cells, ["adding", "parity"], tmp_path / "out")
    (only,) = notes
    assert f"no bias toward remembering is tuned for {own}:plain: " in str(only.message)


def test_a_task_without_kept_rows_is_called_as_the_command_calls_it(own, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxrnn.yardstick.reference.shipped", lambda protocol: tmp_path / "none")
    tasks = ("group_words_s3", f"{own}:echo")
    made = [replace(suite_of(task).base, cell="gru", trials=1) for task in tasks]
    rows = [row for one in made for row in rows_ending_at(one, [500])]
    with pytest.warns(Note, match=f"on {own}:echo, group_words_s3 come with jaxrnn; to train"):
        shipped_beside(SINGLE, rows, tmp_path, ["lstm"])


def test_what_was_begun_otherwise_is_refused(tiny_run, own, tmp_path):
    with pytest.raises(InputError, match="was begun with max-steps 600, not 20000"):
        run_horizon(["gru"], [f"{own}:echo"], tiny_run)
    shutil.copy(tiny_run / "config.json", tmp_path)
    for base, sentence in (
        (jaxrnn.NOTEBOOK.base, "holds rows of notebook, not of a horizon: use another --out"),
        (TASKS["adding"].base, "holds rows of horizon-adding, not of a horizon: use"),  # of a sweep
        (replace(TASKS["adding"].base, note=NOTE), "holds rows of no protocol: use another --out"),
    ):
        write_rows(tmp_path, rows_ending_at(replace(base, trials=1), [5]))
        with pytest.raises(InputError, match=sentence):
            run_horizon(["gru"], ["adding"], tmp_path)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {".lock", "config.json", "trials.jsonl"}


def test_a_protocol_is_on_disk_from_before_the_first_row_unless_that_never_comes(tmp_path):
    def refused(out, *rows):
        out.mkdir()
        with begun(out, TINY):
            assert json.loads((out / "protocol.json").read_text())["max_steps"] == 600
            for name in rows:
                (out / name).write_text("")
            raise InputError("mine.py is no longer what it was")

    with pytest.raises(InputError, match="no longer"):
        refused(tmp_path / "new")
    assert [*(tmp_path / "new").iterdir()] == []
    with pytest.raises(InputError, match="no longer"):
        refused(tmp_path / "out", "config.json", "trials.jsonl")
    with pytest.raises(InputError, match="was begun with max-steps 600"):
        check_protocol(SINGLE, tmp_path / "out")
    before = '{"seed": 1, "search_seed": 1000, "search_version": 3}'
    (tmp_path / "out" / "protocol.json").write_text(before)
    with pytest.raises(InputError, match="version 1 of the horizon's protocol, whose rows are"):
        check_protocol(SINGLE, tmp_path / "out")
    (tmp_path / "out" / "protocol.json").write_text('{"trials": 3}')
    with pytest.raises(InputError, match="is not a protocol of this command: move it away"):
        check_protocol(TINY, tmp_path / "out")


def test_tasks_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(OWN)
    both = ["a/mine.py:echo", "b/mine.py:echo"]
    with pytest.raises(InputError, match=r"a/mine\.py:echo and b/mine\.py:echo would both be"):
        run_horizon(["gru"], both, "out")
    assert not (tmp_path / "out").exists()
    out = tmp_path / "held"
    out.mkdir()
    made = replace(suite_of(both[0]).base, trials=1, cell="a/mine.py:mine", note=NOTE)
    write_rows(out, rows_ending_at(made, [500]))
    (out / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(InputError, match=r"would both be called mine\.echo: use another --out"):
        run_horizon(["gru"], both[1:], out)


def test_ones_own_cell_stands_beside_the_kept_rows_with_the_gap(
    tiny_run, own, simulated, tmp_path, monkeypatch, capsys
):
    kept = tmp_path / "kept"
    shutil.copytree(tiny_run, kept)
    (kept / "cost.json").write_text('{"gru": 0.9}')
    # Of another jax: a comparison of shares does not need the last digit.
    config = json.loads((kept / "config.json").read_text())
    config["versions"]["jax"] = "0.0.1"
    config["device"] = "1 cpu device (z80, 1 cores)"
    (kept / "config.json").write_text(json.dumps(config))
    ship(kept, tmp_path / "shipped" / "horizon")
    monkeypatch.setattr(
        "jaxrnn.yardstick.reference.shipped", lambda _: tmp_path / "shipped/horizon"
    )
    monkeypatch.setattr("jaxrnn.cli.commands.protocol_of", lambda *_, **lags: TINY)
    monkeypatch.setattr("jaxrnn.cli.commands.write_costs", lambda *_: {})
    monkeypatch.setattr("jaxrnn.yardstick.run.seconds_a_time_step", lambda *_, **lanes: 1e-6)
    out = tmp_path / "out"
    assert run("horizon", f"{own}:mine", "--tasks", f"{own}:echo", "--out", out) == 0
    shown, said = capsys.readouterr()
    assert "made with jax 0.0.1, not" in said
    assert "processor z80, not" in said
    assert "Time: about" in " ".join(shown.split())
    report = (out / "report.md").read_text()
    headings, own_line, searches, *_ = (
        [cell.strip() for cell in line.split("|")]
        for line in report.splitlines()
        if "| against the first" in line.lower() or (":mine |" in line and "echo |" in line)
    )
    by_heading = dict(zip(map(str.lower, headings), own_line, strict=True))
    assert by_heading["against the first"] == "+0.0"
    assert "16 ×2" in searches
    # It is the GRU, with the GRU's settings and its trials.
    rows = typed_rows(out)
    assert {row.experiment.cell for row in rows} == {f"{own}:mine"}
    assert [row.outcome for row in rows] == [row.outcome for row in typed_rows(tiny_run)]
    assert all(len(line) <= 80 for line in shown.splitlines() if str(tmp_path) not in line)
    # The same command reads each file once; it and the run directory alone give the same report.
    parsed, parse = [], jaxrnn.store.rows._read
    count = lambda path, lines: parsed.append(path.name) or parse(path, lines)  # noqa: E731
    monkeypatch.setattr("jaxrnn.store.rows._read", count)
    assert run("horizon", f"{own}:mine", "--tasks", f"{own}:echo", "--out", out) == 0
    assert sorted(parsed) == ["trials.jsonl", "trials.jsonl.xz"]
    assert (out / "report.md").read_text() == report
    assert run("report", out) == 0
    assert (out / "report.md").read_text() == report

    told = tmp_path / "shipped/horizon/protocol.json"
    told.write_text(json.dumps(json.loads(told.read_text()) | {"seed": 7}))
    offer = "to train other nets here, too, add to the cells of the same command: lstm gru$"
    with pytest.warns(Note, match=f"are not shown, since .* made with seed 7, not 1; {offer}"):
        assert shipped_beside(TINY, rows, out, ["lstm", "gru"]) == []


def test_the_command_gives_the_protocol_and_names_the_directory_after_it(monkeypatch, capsys):
    def refuse(cells, tasks, out, protocol, **_):
        called.append((out.name, protocol))
        raise InputError("trains nothing")

    called: list = []
    monkeypatch.setattr("jaxrnn.cli.commands.trained_horizon", refuse)
    by_state = "--batch-size 32 --match state --longest-lag 8"
    for asked in ("", "--longest-lag 512", by_state, "--lags 50 100", "--quick --seed 2"):
        assert run("horizon", "lstm", *asked.split()) == 2
        assert capsys.readouterr().err == "jaxrnn: trains nothing\n"
    assert called == [
        ("horizon", SINGLE),
        ("horizon-to-512", replace(SINGLE, longest_lag=512)),
        ("horizon-32-state-to-8", protocol_of(32, "state", longest_lag=8)),
        ("horizon-at-50-100", replace(SINGLE, lags=(50, 100))),
        ("horizon-quick-seed-2", replace(SINGLE, quick=True, seed=2)),
    ]


def test_the_kept_rows_are_those_of_the_protocol():
    tasks = {"horizon-adding_halves"}
    rows = shipped_rows(SINGLE, tasks)
    assert {row.experiment.name for row in rows} == tasks
    assert {row.experiment.max_steps for row in rows} == {SINGLE.max_steps, 10 * SINGLE.max_steps}
    assert {row.net[1] for row in rows} >= {"lstm", "gru"}
    assert not card_of(rows).under_way
    assert shipped(replace(SINGLE, batch_size=32)).name == "horizon-32"
    assert shipped_rows(replace(SINGLE, batch_size=32), tasks) == []
    assert shipped(replace(SINGLE, quick=True)).name == "horizon-quick"
