"""The tables on the pages of results, rendered from the kept rows.

``python examples/pages.py`` writes every table again into the pages of ``examples``. With
``--check`` it writes nothing, names the pages that would change, and exits with 1.

A table stands on its page between the lines ``<!-- table: NAME -->`` and ``<!-- end of table -->``,
which a code host and the site do not show. The words around it give no figure that it has.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from tables_of_cards import claims, horizon
from tables_of_runs import notebook, paper, readings, state_tracking

HERE = Path(__file__).parent
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n\n).*?(\n<!-- end of table -->)", re.DOTALL)

PAGES: dict[str, Callable[[], dict[str, str]]] = {
    "notebook-run": notebook,
    "paper-run": paper,
    "paper-run/readings": readings,
    "state-tracking-run": state_tracking,
    "horizon-run": horizon,
    "claims-run": claims,
}
"""By the folder of each page, its tables by name."""


def rendered(folder: str) -> str:
    """The page with the tables of its rows. A table without a place, and a place without a table,
    are errors."""
    tables, text = PAGES[folder](), (HERE / folder / "README.md").read_text("utf-8")
    places = [name for _, name, _ in BLOCK.findall(text)]
    if sorted(places) != sorted(tables):
        raise ValueError(f"{folder} has places for {places}, but tables {list(tables)}")
    return BLOCK.sub(lambda found: found[1] + tables[found[2]] + found[3], text)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write the tables of the pages of results.")
    parser.add_argument("--check", action="store_true", help="only name pages that would change")
    check = parser.parse_args().check
    changed = False
    for folder in PAGES:
        page, text = HERE / folder / "README.md", rendered(folder)
        if text != page.read_text("utf-8"):
            changed = True
            print(page)
            if not check:
                page.write_text(text, "utf-8")
    return int(check and changed)


if __name__ == "__main__":
    sys.exit(main())
