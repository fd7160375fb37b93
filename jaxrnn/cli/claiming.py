"""The command ``jaxrnn claims``."""

import time
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.text import Text

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.listing import table_of
from jaxrnn.cli.words import Address, Integer, Lanes, Out, flag
from jaxrnn.errors import InputError, look_up
from jaxrnn.experiment import Experiment
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.render import console
from jaxrnn.sweeps.run import run
from jaxrnn.sweeps.watch import duration, roughly
from jaxrnn.training.parts import num_weights, parts_of

# Of two cores: what products of matrices reach (benchmarks/README.md), and how much slower a scan
# of small ones is.
FLOPS, SLOWER = 45e9, 2.5

EVERY = "all"


def claims(
    names: Annotated[tuple[str, ...], tyro.conf.Positional, flag("NAME ...", "")] = (),
    trials: Integer = None,
    out: Out = None,
    lanes: Lanes = None,
    dask: Address = None,
    compile_cache: bool = True,
) -> None:
    """Run published claims under the conditions of their papers, with a verdict; or list them.

    Without a name it lists all claims and about what each costs. A verdict is supported, not
    supported or undecided, by exact intervals. Give the same command again after an interruption.

    Args:
        names: Names as in the list, or all.
        trials: Independent nets of each kind; by default six, the least that can decide.
        out: Run directory; runs/claims for all claims.
        lanes: Trials of a net trained at once; results do not depend on it.
        dask: A Dask scheduler, tcp://host:port, whose workers are to do the work.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    if not names:
        if trials is not None:
            raise InputError(f"trials {trials} needs the name of a claim")
        _list()
        return
    set_up_jax(compile_cache)
    start = time.monotonic()
    wanted = CLAIMS if names == (EVERY,) else dict.fromkeys(names)
    chosen = [look_up(CLAIMS, "claim", name, EVERY) for name in wanted]
    given: dict[str, Any] = {} if trials is None else {"trials": trials}
    experiments = [suite.at(**given) for claim in chosen for suite in claim.suites]
    out = out or Path("runs/claims")
    run(experiments, out, lanes=lanes, dask=dask, progress=True, report=False)
    from jaxrnn.report.document import show_report

    show_report(out)
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")


def _list() -> None:
    """All claims, and about what each costs."""
    table = table_of(("claim",), ("nets", "trials", "cost"), ("statement, as printed",))
    for claim in CLAIMS.values():
        every = [suite.base for suite in claim.suites]
        trials = str(sum(one.trials for one in every))
        cost = roughly(sum(map(expected_seconds, every)))
        what = Text.assemble(claim.statement, (f" ({claim.source})", "dim"))
        table.add_row(claim.name, str(len(every)), trials, cost, what)
    console.print(table)
    words = (
        "Cost: about so long on two cores if no trial is solved, by the number of operations. Run "
        "one: jaxrnn claims NAME. Its report says how the conditions differ from its paper's."
    )
    console.print(Text(words, style="dim"))


def expected_seconds(experiment: Experiment) -> float:
    """What an experiment costs on two cores, at most: six operations for each weight and time step,
    and the forward pass of its test sets."""
    steps = parts_of(experiment).task.num_steps * experiment.max_steps
    tests = experiment.max_steps / experiment.test_every * (experiment.test_size or 0)
    share = 1 + tests / experiment.max_steps / 3
    operations = 6 * num_weights(experiment) * steps * share * experiment.trials
    return operations / FLOPS * SLOWER
