from pathlib import Path

import numpy as np
import pytest


@pytest.mark.parametrize("fault", [1e-4, np.nan])
def test_a_rival_that_disagrees_is_not_timed(monkeypatch, fault):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import rivals
    from frameworks import Problem, our_engine

    calls = []

    def build_wrong(problem):
        return lambda coins, learning_rate, clip: calls.append(learning_rate) or errors + fault

    coins = np.zeros((rivals.CHECK_STEPS, 2), np.int32)
    errors = np.full(coins.shape, 0.5, np.float32)
    reference = rivals.Reference(Problem("lstm", 4, {}), coins, errors)
    monkeypatch.setattr(our_engine, "build", build_wrong)
    with pytest.raises(ValueError, match="not timed"):
        rivals.measure("jaxrnn", reference, timed=True)
    assert len(calls) == 1
