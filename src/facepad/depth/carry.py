"""Copying depth maps to another manifest of the same faces. A map depends only on the face in the face square."""

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
"""Number of maps that are written at once. A killed process loses at most this number of maps."""


def carry_depth(source: Path, target: Path, pairs: Sequence[tuple[Sample, Sample]]) -> list[str]:
    """Copy the depth maps of every labeller from one manifest to another.

    Existing maps of the other manifest are kept. If a map of a labeller is missing, no map of this labeller is copied.
    ``facepad data depth`` can make new maps.

    Args:
        source: The manifest with depth maps.
        target: The manifest that gets the copies.
        pairs: (sample of ``source``, the same sample in ``target``).

    Returns:
        One line for each labeller: the number of maps, or the reason why no map was copied.

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
