"""Files that are replaced as a whole."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that a kill leaves either the old content or the new."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
