"""A contact sheet of faces and depth maps, for a visual check of the maps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import read_manifest, resolve
from facepad.depth.raster import EXTENT
from facepad.depth.store import load_depth
from facepad.errors import ImageError
from facepad.faces import crop
from facepad.media.images import read_image, write_image
from facepad.types import Label, Sample

__all__ = ["contact_sheet", "write_preview"]

_PAIRS, _COLUMNS, _SIDE = 24, 4, 160


def write_preview(manifest: Path, folder: Path, *, labeller: str) -> Path:
    """Draw 24 evenly chosen bona fide images of a manifest, each beside the stored map.

    Args:
        manifest: A manifest with depth maps.
        folder: Output folder for depth-LABELLER.png; created if missing.
        labeller: Name of the labeller that made the maps.

    Returns:
        Path of the picture.

    Raises:
        InputError: the manifest has no maps of this labeller.
        RunError: the picture cannot be written.
    """
    samples = read_manifest(manifest)
    maps = load_depth(manifest, samples, labeller)
    faces = [sample for sample in samples if sample.label is Label.BONA_FIDE and sample in maps]
    chosen = [faces[number] for number in np.linspace(0, len(faces) - 1, min(_PAIRS, len(faces))).round().astype(int)]
    pairs = [_pair(_read(manifest, sample), sample, maps.of(sample)) for sample in chosen]
    path = Path(folder) / f"depth-{labeller}.png"
    write_image(path, contact_sheet(pairs))
    return path


def contact_sheet(pairs: list[NDArray[np.uint8]], columns: int = _COLUMNS) -> NDArray[np.uint8]:
    """Pictures of one size in rows of ``columns`` pictures. The rest of the last row is black.

    >>> contact_sheet([np.zeros((2, 4, 3), np.uint8)] * 3, columns=2).shape
    (4, 8, 3)
    """
    columns = min(columns, len(pairs))
    blanks = [np.zeros_like(pairs[0])] * (-len(pairs) % columns)
    filled = [*pairs, *blanks]
    return np.vstack([np.hstack(filled[start : start + columns]) for start in range(0, len(filled), columns)])


def _read(manifest: Path, sample: Sample) -> NDArray[np.uint8]:
    try:
        return read_image(resolve(manifest, sample))
    except ImageError:  # the file was readable when the map was made; a grey square replaces the image
        return np.full((_SIDE, _SIDE, 3), 127, dtype=np.uint8)


def _pair(image: NDArray[np.uint8], sample: Sample, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    face = crop(image, sample.box, scale=EXTENT, size=(_SIDE, _SIDE), border="constant")
    depth = cv2.resize(levels, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    return np.hstack([face, np.asarray(cv2.cvtColor(depth, cv2.COLOR_GRAY2RGB), dtype=np.uint8)])
