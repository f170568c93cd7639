"""Copying depth maps to another manifest of the same faces: a map depends on the face square, not on the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facepad.datasets.manifest import resolve
from facepad.depth.store import DepthLabel, DepthStore, depth_folder, depth_labellers, load_depth
from facepad.errors import InputError
from facepad.files.disk import sha256_file
from facepad.types import Label, Sample

__all__ = ["carry_depth"]

_BATCH = 256
"""Maps written together; a kill loses at most one batch."""


def carry_depth(source: Path, target: Path, pairs: Sequence[tuple[Sample, Sample]]) -> list[str]:
    """Copy the depth maps of every labeller from one manifest to another.

    Maps that the other manifest has stay. The maps of a labeller are not copied if one is missing:
    ``facepad data depth`` makes them anew.

    Args:
        source: The manifest that has depth maps.
        target: The manifest that is to have them.
        pairs: Each sample of ``source`` and what it is in ``target``.

    Returns:
        A line for each labeller: how many maps were copied, or why none.

    Raises:
        BusyError: another process adds maps to the same folder.
        RunError: the disk is full.
    """
    faces = [pair for pair in pairs if pair[0].label is Label.BONA_FIDE and pair[0].box is not None]
    notes = []
    for labeller in depth_labellers(source):
        try:
            maps = load_depth(source, [before for before, _ in faces], labeller)
        except InputError as error:
            notes.append(f"depth maps by {labeller} are not carried over: {error}")
            continue
        digests = {after: sha256_file(resolve(target, after)) for before, after in faces if before in maps}
        with DepthStore.opened(depth_folder(target) / labeller, maps.identity) as store:
            missing = [
                (before, after)
                for before, after in faces
                if after in digests and store.labeller_of(after, digests[after]) is None
            ]
            for first in range(0, len(missing), _BATCH):
                store.append(
                    [
                        DepthLabel(after, digests[after], maps.of(before), maps.made_by(before))
                        for before, after in missing[first : first + _BATCH]
                    ]
                )
        notes.append(f"{len(digests)} depth maps by {labeller} carried over")
    return notes
