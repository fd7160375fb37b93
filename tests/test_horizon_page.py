"""The page of the horizon's results: its tables and its figures are those of the kept rows."""

import json
import re
import shutil
from pathlib import Path

from helpers import contents

from jaxrnn.cli.remembering import notes
from jaxrnn.problems.horizon import FINALIST, PREFIX, SEARCH, without_role
from jaxrnn.report.horizon_card import horizon_rows
from jaxrnn.report.remembered import card_of
from jaxrnn.report.render import markdown_table
from jaxrnn.scorecard.halving import SINGLE
from jaxrnn.scorecard.horizon import ends_of_range, is_done, nets
from jaxrnn.scorecard.shipped import check_protocol, ship, shipped
from jaxrnn.store.config import read_config
from jaxrnn.sweeps.run import open_run

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "examples/horizon-run"
COLUMNS = ("net", "horizon", "95%", "against the first", "its 95%", "default", "default's 95%")


def test_every_task_has_its_table(rows, text):
    card = card_of(rows)
    every = horizon_rows(card)
    for task in card.tasks:
        lines = [line for line in every if line.section == task]
        assert f"### {task}\n\n{markdown_table(lines, COLUMNS)}" in text
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == card.tasks


def test_what_it_says_of_the_ends_of_the_ranges_is_so(rows, text):
    chosen = [row for row in rows if row.experiment.name.count("-") == 1]
    for line in ends_of_range(chosen):
        name, of, least, most = line.cells.values()
        assert f"| {name} | {of} | {least} | {most} |" in text


def test_the_report_says_of_its_nets_what_their_rows_say(rows):
    costs = json.loads((KEPT / "cost.json").read_text())
    said = (KEPT / "notes.md").read_text()
    assert notes(rows, costs)[1] == said
    assert said.partition("\n\n")[0] in (KEPT / "report.md").read_text()


def test_each_lag_of_a_net_has_trials_of_its_own_seed(rows):
    """Or those of two lags would begin with the same weights, and not be independent."""
    seeds, lags = {}, {}
    for row in rows:
        made = row.experiment
        if not made.name.endswith((SEARCH, FINALIST)):
            lags.setdefault((made.name, made.cell), set()).add(made.length)
            seeds.setdefault((made.name, made.cell), set()).add(made.seed)
    assert {net: len(own) for net, own in seeds.items()} == {
        net: len(own) for net, own in lags.items()
    }


def test_the_run_says_which_nets_it_has(rows):
    said = read_config(KEPT)["settings"]
    assert set(said["cells"]) == {row.experiment.cell for row in rows}
    assert set(said["experiment"]) == {row.experiment.name for row in rows}


def test_what_comes_with_the_package_is_this_run_and_of_the_protocol(rows, tmp_path):
    ship(KEPT, tmp_path)
    assert contents(shipped(SINGLE)) == contents(tmp_path)
    assert sum(path.stat().st_size for path in shipped(SINGLE).iterdir()) < 300_000
    check_protocol(SINGLE, KEPT)


def test_no_trial_of_any_net_is_missing(rows, tmp_path):
    """The same commands would train nothing more, so each net was chosen by these very rows."""
    shutil.copytree(KEPT, tmp_path / "kept")
    held = {(without_role(row.experiment.name), row.experiment.cell) for row in rows}
    with open_run(tmp_path / "kept", report=False) as run:
        for name, cell in sorted(held):
            (net,) = nets([cell], [name.removeprefix(PREFIX)], SINGLE)
            assert is_done(net, SINGLE, run), (name, cell)
