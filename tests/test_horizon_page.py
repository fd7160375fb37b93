"""The page of the horizon's results: its tables and its figures are those of the kept rows."""

import re
from pathlib import Path

from helpers import contents

from jaxrnn.report.horizon_card import horizon_rows
from jaxrnn.report.remembered import card_of
from jaxrnn.report.render import markdown_table
from jaxrnn.scorecard.halving import SINGLE
from jaxrnn.scorecard.horizon import ends_of_range
from jaxrnn.scorecard.shipped import check_protocol, ship, shipped

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


def test_what_comes_with_the_package_is_this_run_and_of_the_protocol(tmp_path):
    ship(KEPT, tmp_path)
    assert contents(shipped(SINGLE)) == contents(tmp_path)
    assert sum(path.stat().st_size for path in shipped(SINGLE).iterdir()) < 300_000
    check_protocol(SINGLE, KEPT)
