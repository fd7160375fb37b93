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
from jaxrnn.problems.claims import CLAIMS
from jaxrnn.report.render import console
from jaxrnn.sweeps.run import run
from jaxrnn.sweeps.watch import duration, roughly

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

    Without a name it lists all claims and how long each took. A verdict is supported, not
    supported or undecided, by 95 % intervals. Give the same command again after an interruption.

    Args:
        names: Names as in the list, or all.
        trials: Independent nets of each kind; by default six, the least that can decide.
        out: Run directory; runs/claims for all claims.
        lanes: Trials of a net trained at once; results do not depend on it.
        dask: A Dask scheduler, tcp://host:port, whose workers are to do the work.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    if not names:
        for name, value in {"trials": trials, "out": out, "lanes": lanes, "dask": dask}.items():
            if value is not None:
                raise InputError(f"{name} {value} needs the name of a claim")
        _list()
        return
    set_up_jax(compile_cache)
    start = time.monotonic()
    wanted = CLAIMS if EVERY in names else dict.fromkeys(names)
    chosen = [look_up(CLAIMS, "claim", name, EVERY) for name in wanted]
    given: dict[str, Any] = {} if trials is None else {"trials": trials}
    experiments = [suite.at(**given) for claim in chosen for suite in claim.suites]
    out = out or Path("runs/claims")
    run(experiments, out, lanes=lanes, dask=dask, progress=True, report=False)
    from jaxrnn.report.document import show_report

    show_report(out)
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")


def _list() -> None:
    """All claims, and how long each took."""
    table = table_of(("claim",), ("nets", "trials", "time"), ("statement, as printed",))
    for claim in CLAIMS.values():
        every = [suite.base for suite in claim.suites]
        trials = str(sum(one.trials for one in every))
        took = "-" if claim.minutes is None else roughly(60 * claim.minutes)
        what = Text.assemble(claim.statement, (f" ({claim.source})", "dim"))
        table.add_row(claim.name, str(len(every)), trials, took, what)
    console.print(table)
    words = (
        "Time: what it took on two cores of an AMD EPYC server; a dash: no rows are kept. Run "
        "one: jaxrnn claims NAME. Its report says how the conditions differ from its paper's."
    )
    console.print(Text(words, style="dim"))
