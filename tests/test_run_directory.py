"""What a run directory keeps of settings and rows."""

import json

from helpers import rows
from test_sweep import AXES, BASE

from jaxrnn.results.run_directory import settings_in_words
from jaxrnn.sweep import product


def test_configuration_lists_what_differs():
    config = settings_in_words([product(BASE, AXES)])
    assert {name: config[name] for name in AXES} == {k: list(v) for k, v in AXES.items()}
    assert (config["experiment"], config["trials"], config["clip"]) == (["grid"], 12, 5.0)


def test_rows_survive_json():
    (row,) = rows("lstm", 4, [1100])
    assert json.loads(json.dumps(row)) == row
