"""Depth maps carried to another manifest that shows the same faces: they are of the face square, whatever is around."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facepad.datasets.manifest import resolve
from facepad.depth.store import DepthStore, depth_engines, load_depth
from facepad.errors import InputError
from facepad.files.disk import sha256_file
from facepad.types import Label, Sample

__all__ = ["carry_depth"]

# Maps written together: a kill loses at most these.
_BATCH = 256


def carry_depth(source: Path, target: Path, pairs: Sequence[tuple[Sample, Sample]]) -> list[str]:
    """Copy the depth maps of every engine from one manifest to another.

    Maps that are there already stay. Those of an engine that does not have one for each image are left where they are:
    ``facepad data depth`` makes them anew.

    Args:
        source: The manifest that has depth maps.
        target: The manifest that is to have them.
        pairs: Each sample of ``source`` and what it is in ``target``.

    Returns:
        A line for each engine: how many maps were copied, or why none.

    Raises:
        RunError: the disk is full, or another run fills the same folder.
    """
    faces = [pair for pair in pairs if pair[0].label is Label.BONA_FIDE and pair[0].box is not None]
    notes = []
    for engine in depth_engines(source):
        try:
            maps = load_depth(source, [before for before, _ in faces], engine)
        except InputError as error:
            notes.append(f"depth maps by {engine} are not carried over: {error}")
            continue
        digests = {after: sha256_file(resolve(target, after)) for before, after in faces if before in maps}
        with DepthStore(target.parent / "depth" / engine, maps.identity) as store:
            missing = [
                (before, after)
                for before, after in faces
                if after in digests and store.engine_of(after, digests[after]) is None
            ]
            for first in range(0, len(missing), _BATCH):
                part = missing[first : first + _BATCH]
                store.append(
                    [after for _, after in part],
                    [digests[after] for _, after in part],
                    [maps.of(before) for before, _ in part],
                    [maps.made_by(before) for before, _ in part],
                )
        notes.append(f"{len(digests)} depth maps by {engine} carried over")
    return notes
