"""The page of the horizon's results: its tables and its figures are those of the kept rows."""

import json
import re
import shutil
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import contents

from jaxrnn.cli.remembering import notes
from jaxrnn.problems.horizon import FINALIST, LAGS, PREFIX, SEARCH, without_role
from jaxrnn.report.horizon_card import horizon_rows
from jaxrnn.report.remembered import card_of
from jaxrnn.report.render import markdown_table
from jaxrnn.scorecard.halving import PLAYED, SEARCHED, SINGLE, HorizonProtocol, protocol_of
from jaxrnn.scorecard.horizon import ends_of_range, is_done, nets
from jaxrnn.scorecard.shipped import check_protocol, ship, shipped
from jaxrnn.store.config import read_config
from jaxrnn.store.rows import Row, typed_rows
from jaxrnn.sweeps.run import open_run

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "examples/horizon-run"
LARGE = KEPT / "batches-of-32"
COLUMNS = ("net", "horizon", "95%", "against the first", "its 95%", "default", "default's 95%")


def test_every_task_has_its_table(rows, text):
    card = card_of(rows)
    every = horizon_rows(card)
    for task in card.tasks:
        lines = [line for line in every if line.section == task]
        assert f"### {task}\n\n{markdown_table(lines, COLUMNS)}" in text
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == card.tasks


def test_batches_have_their_table(text):
    card = card_of(typed_rows(LARGE))
    (task,) = card.tasks
    assert f"with batches of 32 on {task}:\n\n{markdown_table(horizon_rows(card), COLUMNS)}" in text


def test_what_it_says_of_play_offs_that_cannot_choose_is_so(rows, text):
    tried, lags = defaultdict(lambda: defaultdict(list)), {}
    for row in rows:
        made = row.experiment
        if not made.name.endswith(SEARCH):
            continue
        setting = tuple(getattr(made, name) for name in ("initializer", *SEARCHED))
        solved = row.outcome.status == "solved"
        tried[made.name, made.cell, made.length][setting].append(solved)
        if made.seed == SINGLE.search_seed + 1:
            lags[made.name, made.cell] = made.length
    equal = [
        lag
        for net, lag in lags.items()
        if sum(len(of) == PLAYED and all(of) for of in tried[*net, lag].values()) > 1
    ]
    longer, short = (sum(lag < than for lag in equal) for than in (LAGS[-1], 512))
    said = (
        f"In {len(equal)} of the {len(lags)} play-offs two or more settings solved all four of "
        f"their trials, so their times decided. {longer} of these were at less than 1,024 steps, "
        f"{short} at less than 512."
    )
    assert said in " ".join(text.split())


def test_what_it_says_of_the_ends_of_the_ranges_is_so(rows, text):
    chosen = [row for row in rows if row.experiment.name.count("-") == 1]
    for line in ends_of_range(chosen):
        name, of, least, most = line.cells.values()
        assert f"| {name} | {of} | {least} | {most} |" in text


class Run(NamedTuple):
    """A run directory that is kept."""

    kept: Path
    protocol: HorizonProtocol
    rows: list[Row]


@pytest.fixture(
    scope="module",
    params=[(KEPT, SINGLE), (LARGE, protocol_of(32, "weights"))],
    ids=["one", "batches of 32"],
)
def run(request, rows):
    kept, protocol = request.param
    return Run(kept, protocol, rows if kept == KEPT else typed_rows(kept))


def test_the_report_says_of_its_nets_what_their_rows_say(run):
    costs = json.loads((run.kept / "cost.json").read_text())
    said = (run.kept / "notes.md").read_text()
    assert notes(run.rows, costs)[1] == said
    assert said.partition("\n\n")[0] in (run.kept / "report.md").read_text()


def test_each_lag_of_a_net_has_trials_of_its_own_seed(run):
    """Or those of two lags would begin with the same weights, and not be independent."""
    seeds, lags = {}, {}
    for row in run.rows:
        made = row.experiment
        if not made.name.endswith((SEARCH, FINALIST)):
            lags.setdefault((made.name, made.cell), set()).add(made.length)
            seeds.setdefault((made.name, made.cell), set()).add(made.seed)
    assert {net: len(own) for net, own in seeds.items()} == {
        net: len(own) for net, own in lags.items()
    }


def test_the_run_says_which_nets_it_has(run):
    said = read_config(run.kept)["settings"]
    assert set(said["cells"]) == {row.experiment.cell for row in run.rows}
    assert set(said["experiment"]) == {row.experiment.name for row in run.rows}


def test_what_comes_with_the_package_is_this_run_and_of_the_protocol(run, tmp_path):
    ship(run.kept, tmp_path)
    assert contents(shipped(run.protocol)) == contents(tmp_path)
    assert sum(path.stat().st_size for path in shipped(run.protocol).iterdir()) < 300_000
    check_protocol(run.protocol, run.kept)


def test_no_trial_of_any_net_is_missing(run, tmp_path):
    """The same commands would train nothing more, so each net was chosen by these very rows."""
    shutil.copytree(run.kept, tmp_path / "kept")
    held = {(without_role(row.experiment.name), row.experiment.cell) for row in run.rows}
    with open_run(tmp_path / "kept", report=False) as opened:
        for name, cell in sorted(held):
            (net,) = nets([cell], [name.removeprefix(PREFIX)], run.protocol)
            assert is_done(net, run.protocol, opened), (name, cell)
