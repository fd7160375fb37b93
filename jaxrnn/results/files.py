"""Files that are replaced as a whole."""

import hashlib
import io
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # slow to import, and only pictures need it


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that a kill leaves either the old content or the new.

    A symbolic link is replaced, what it points to stays as it is. Raises OSError that names the
    file where it cannot be written; what was there before is there still then, and nothing else.
    """
    # A name of its own for each writer; "x" opens no file that is there, nor follows a link.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def arrays_in(path: Path, corrupt: InputError) -> Iterator[Any]:
    """An open .npz file, as a mapping; ``corrupt`` is raised where what is in it is damaged.

    A file that cannot be read just now, for want of a permission or of memory, is not damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except OSError as error:
        if error.strerror is None:  # NumPy's, of what is in the file
            raise corrupt from None
        raise
    except MemoryError:
        raise
    except Exception:  # whatever a damaged archive makes of NumPy's reader
        raise corrupt from None


def name_of(kind: str, experiment: Experiment) -> str:
    """The name of an .npz file that belongs to an experiment, told apart by all its settings."""
    words = f"{experiment.name}-{experiment.cell}"[:100]
    digest = hashlib.sha256(repr(experiment).encode()).hexdigest()[:8]
    return re.sub(r"[^\w.+-]", "_", f"{kind}-{words}-{experiment.length}-{digest}") + ".npz"


def write_figure(path: Path, figure: "Figure") -> None:
    """Draw a figure into a PNG file of 256 colours, which is replaced as a whole.

    The colours of its lines, legends included, are exactly their own. So are the most frequent
    other ones. A rarer colour becomes the nearest of these.
    """
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D
    from PIL import Image
    from scipy.spatial import KDTree

    drawn, written = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=130)
    # A third of the size: lines that shine through each other have thousands of shades.
    image = Image.open(drawn).convert("RGB")
    pixels = np.asarray(image).astype(int) @ np.array((65536, 256, 1))
    shades, number, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    used = {
        to_hex(color)
        for line in figure.findobj(Line2D)
        if isinstance(line, Line2D)
        for color in (line.get_color(), line.get_markeredgecolor(), line.get_markerfacecolor())
    }
    own = [int(color[1:], 16) for color in used]
    frequent = np.lexsort((counts, np.isin(shades, own)))[-256:]
    parts = np.stack([shades >> 16, shades >> 8 & 255, shades & 255], 1)
    _, nearest = KDTree(parts[frequent]).query(parts)
    few = Image.frombytes("P", image.size, nearest[number].astype(np.uint8).tobytes())
    few.putpalette(parts[frequent].astype(np.uint8).tobytes())
    few.save(written, "PNG", optimize=True)
    write_whole(path, written.getvalue())
