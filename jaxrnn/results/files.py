"""Files that are replaced as a whole."""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # slow to import, and only pictures need it


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that a kill leaves either the old content or the new."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_figure(path: Path, figure: "Figure") -> None:
    """Draw a figure into a PNG file, which is replaced as a whole."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130)
    write_whole(path, buffer.getvalue())
