"""The page of the horizon's results: its tables and its figures are those of the kept rows."""

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import contents

from jaxrnn.problems.horizon import FINALIST
from jaxrnn.report.horizon import passed_high, passed_low
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
    for task in card.tasks:
        lines = [line for line in horizon_rows(card) if line.section == task]
        assert f"### {task}\n\n{markdown_table(lines, COLUMNS)}" in text
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == card.tasks


def test_what_it_says_of_the_ends_of_the_ranges_is_so(rows, text):
    chosen = [row for row in rows if row.experiment.name.count("-") == 1]
    for line in ends_of_range(chosen):
        name, of, least, most = line.cells.values()
        assert f"| {name} | {of} | {least} | {most} |" in text


def test_trials_of_one_number_are_solved_together_as_often_as_it_says(rows, text):
    solved = {}
    for row in rows:
        made = row.experiment
        if made.seed == SINGLE.seed and not made.name.endswith(FINALIST):
            by_lag = solved.setdefault((made.name, made.cell), {})
            by_lag.setdefault(made.length, []).append(row.outcome.solved_at is not None)
    found = []
    for by_lag in solved.values():
        for lag in by_lag:
            pairs = np.array([*zip(by_lag[lag], by_lag.get(2 * lag, []), strict=False)], float)
            if len(pairs) and (pairs.std(0) > 0).all():
                together, by_chance = pairs.prod(1).sum(), pairs.mean(0).prod() * len(pairs)
                found.append((together, by_chance, len(pairs) * pairs.std(0).prod()))
    together, by_chance, most = np.sum(found, 0)
    correlation = (together - by_chance) / most
    said = " ".join(text.split())
    assert f"solved together {together:.0f} times, {by_chance:.0f} times if it were" in said
    assert f"(a correlation of {correlation:.2f})" in said
    # How often a bound errs where trials that are so correlated are solved by chance.
    rng, number = np.random.default_rng(0), 40_000
    latent = math.sin(math.pi / 2 * correlation)  # of two normal variables whose signs are so
    shared, own = rng.standard_normal((number, 9, 1)), rng.standard_normal((number, 9, 5))
    signs = math.sqrt(latent) * shared + math.sqrt(1 - latent) * own > 0
    trials = np.array([6, 6, 6, 9, 6])
    solved = np.stack([signs[:, :n, k].sum(1) for k, n in enumerate(trials)], 1)
    errs = passed_low(solved, trials)[:, 0].mean(), passed_high(solved, trials)[:, -1].mean()
    (up_to,) = re.findall(r"a bound errs in up to (\d\.\d) of 100 cases", said)
    assert 100 * np.mean(errs) == pytest.approx(float(up_to), abs=0.2)


def test_the_run_says_which_nets_it_has(rows):
    assert set(read_config(KEPT)["settings"]["cells"]) == {row.experiment.cell for row in rows}


def test_what_comes_with_the_package_is_this_run_and_of_the_protocol(tmp_path):
    ship(KEPT, tmp_path)
    assert contents(shipped(SINGLE)) == contents(tmp_path)
    assert sum(path.stat().st_size for path in shipped(SINGLE).iterdir()) < 300_000
    check_protocol(SINGLE, KEPT)


def test_no_trial_of_any_net_is_missing(rows, tmp_path):
    """The same command would train nothing more, so each net was chosen by these very rows."""
    shutil.copytree(KEPT, tmp_path / "kept")
    card = card_of(rows)
    with open_run(tmp_path / "kept", report=False) as run:
        for net in nets(card.cells, card.tasks, SINGLE):
            assert is_done(net, SINGLE, run), f"{net.base.cell} on {net.base.task}"
