"""Making the depth maps of a manifest's bona fide faces, in threads. An interrupted run can be continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from facepad.datasets.manifest import read_manifest, resolve
from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.depth.labellers import DepthLabeller, create_labeller
from facepad.depth.store import DepthLabel, DepthStore, depth_folder, load_depth
from facepad.depth.template import TemplateDepth
from facepad.errors import ImageError, InputError, number_of
from facepad.faces import read_with_box
from facepad.files.disk import sha256_file
from facepad.files.opening import MaxBytes
from facepad.runtime.arguments import require_positive
from facepad.runtime.parallel import available_cpus, map_ahead
from facepad.runtime.progress import progress_bar
from facepad.types import Label, Sample

__all__ = ["DepthSummary", "make_depth"]

_BATCH = 32
"""Number of maps that are written at once. A killed process loses at most this number of maps."""
_LISTED = 5
"""Maximum number of paths in a message. Further paths are only counted."""


@dataclass(frozen=True, slots=True)
class DepthSummary:
    """The result of `make_depth`: the number of maps, and the samples without a map from the labeller.

    Attributes:
        folder: Folder of the maps.
        labeller: Identity of the labeller.
        made: Number of maps that this run made.
        kept: Number of maps that an earlier run made.
        attacks: Number of attack samples. The map of an attack is zero everywhere and is not stored.
        fell_back: Paths of images in which the labeller found no face. Their map is the template's mean face.
        no_box: Paths of bona fide samples without a face square. They have no map.
        unreadable: Path -> reason, for bona fide images that could not be read. They have no map.
        agreement: Median correlation of the labeller's maps with the template's mean face. None if the labeller made no
            map, or is the template.
    """

    folder: Path
    labeller: str
    made: int
    kept: int
    attacks: int
    fell_back: list[str]
    no_box: list[str]
    unreadable: dict[str, str]
    agreement: float | None

    def to_text(self) -> str:
        """The summary as text for the terminal: counts, and the images without a map from the labeller."""
        have = "has" if self.attacks == 1 else "have"
        lines = [
            f"{self.folder}: {number_of(self.made + self.kept, 'depth map')} by {self.labeller} "
            f"({self.kept} from earlier runs); {number_of(self.attacks, 'attack')} {have} depth zero"
        ]
        if self.agreement is not None:
            lines.append(f"median correlation with the template's mean face: {self.agreement:.2f}")
        if self.fell_back:
            lines.append(f"no face found by the labeller, the template's mean face was used: {_some(self.fell_back)}")
        if self.no_box:
            lines.append(f"bona fide without a face square, no map: {_some(self.no_box)}")
        lines += [f"unreadable, no map: {why}" for why in self.unreadable.values()]
        return "\n".join(lines)


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return f"{len(paths)} ({', '.join(paths[:_LISTED])}{more})"


def make_depth(
    manifest: Path,
    *,
    labeller: str | DepthLabeller,
    model: Path | None = None,
    jobs: int | None = None,
    progress: bool = False,
) -> DepthSummary:
    """Make and store the depth map of every bona fide sample with a face square. Attacks need no map.

    The maps are stored in ``depth/LABELLER`` in the manifest's folder. Maps that an earlier run made for the same image
    and face square are kept. An interrupted run can therefore be continued.

    Args:
        manifest: The manifest, with face boxes.
        labeller: A name in ``LABELLERS``, or a labeller.
        model: Model file of a labeller that is given by name; None takes the default file.
        jobs: Number of threads; None takes the number of CPUs that this process may use.
        progress: Whether to show a progress bar on stderr.

    Raises:
        InputError: the labeller is unknown, jobs is below 1, no bona fide sample has a face square, more than 5 % of
            the bona fide images are unreadable, or the stored maps come from another model.
        BusyError: another process adds maps to the same folder.
        ModelError: the model file is missing or wrong.
        RunError: the disk is full.
    """
    require_positive("jobs", jobs)
    manifest = Path(manifest)
    samples = read_manifest(manifest)
    faces = [sample for sample in samples if sample.label is Label.BONA_FIDE and sample.box is not None]
    if not faces:
        raise InputError(f"{manifest} has no bona fide sample with a face square; facepad data prepare finds the faces")
    chosen = create_labeller(labeller, model=model) if isinstance(labeller, str) else labeller
    folder = depth_folder(manifest) / chosen.name
    with DepthStore.opened(folder, chosen.identity) as store:
        known = {sample: store.labeller_of(sample, _digest(resolve(manifest, sample))) for sample in faces}
        missing = [sample for sample, name in known.items() if name is None]
        made, unreadable = _Filling(manifest, chosen, len(faces), jobs, progress).fill(store, missing)
        store.note_unreadable([sample.path for sample in faces], unreadable)
    by = {sample: name for sample, name in (known | made).items() if name is not None}
    return DepthSummary(
        folder=folder,
        labeller=chosen.identity,
        made=len(made),
        kept=len(by) - len(made),
        attacks=sum(sample.label is Label.ATTACK for sample in samples),
        fell_back=[sample.path for sample, name in by.items() if name != chosen.name],
        no_box=[s.path for s in samples if s.label is Label.BONA_FIDE and s.box is None],
        unreadable=unreadable,
        agreement=_agreement(manifest, [sample for sample, name in by.items() if name == chosen.name], chosen.name),
    )


def _agreement(manifest: Path, samples: Sequence[Sample], labeller: str) -> float | None:
    """Median correlation of stored maps with the mean face. Flat maps are left out; their correlation is undefined."""
    if labeller == TemplateDepth.name or not samples:
        return None
    maps = load_depth(manifest, samples, labeller)
    mean = TemplateDepth().levels
    made = [maps.of(sample) for sample in samples if sample in maps]
    values = [float(np.corrcoef(levels.ravel(), mean.ravel())[0, 1]) for levels in made if np.ptp(levels)]
    return float(np.median(values)) if values else None


@dataclass(frozen=True, slots=True)
class _Filling:
    """The work of one run: making and storing the missing maps.

    Attributes:
        manifest: The manifest.
        labeller: The labeller that makes the maps. The template makes the map if the labeller finds no face.
        total: Number of bona fide images with a face square in the manifest.
        jobs: Number of threads.
        progress: Whether to show a progress bar.
    """

    manifest: Path
    labeller: DepthLabeller
    total: int
    jobs: int | None
    progress: bool
    template: TemplateDepth = field(default_factory=TemplateDepth)

    def fill(self, store: DepthStore, missing: Sequence[Sample]) -> tuple[dict[Sample, str], dict[str, str]]:
        """Make the maps. Return sample -> labeller for each new map, and path -> reason for each unreadable image."""
        made: dict[Sample, str] = {}
        unreadable: dict[str, str] = {}
        results = map_ahead(self._make, missing, threads=self.jobs or available_cpus())
        with progress_bar("depth maps", len(missing), shown=self.progress and bool(missing)) as advance:
            while batch := list(islice(results, _BATCH)):
                labels = [result for result in batch if isinstance(result, DepthLabel)]
                unreadable |= {result.source: str(result.error) for result in batch if isinstance(result, _Unreadable)}
                if labels:
                    store.append(labels)
                made |= {label.sample: label.labeller for label in labels}
                refuse_mostly_unreadable(unreadable, self.total, f"bona fide images of {self.manifest}")
                advance(len(batch))
        return made, unreadable

    def _make(self, sample: Sample) -> DepthLabel | _Unreadable:
        assert sample.box is not None
        path = resolve(self.manifest, sample)
        sha256 = _digest(path)  # before reading: if the file changes now, the next run makes the map again
        try:
            image = read_with_box(path, sample)
        except ImageError as error:
            return _Unreadable(sample.path, error)
        levels = self.labeller.depth(image, sample.box)
        if levels is None:
            return DepthLabel(sample, sha256, self.template.depth(image, sample.box), self.template.name)
        return DepthLabel(sample, sha256, levels, self.labeller.name)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """The path of an image in the manifest, and the reason why the image cannot be read."""

    source: str
    error: ImageError


def _digest(path: Path) -> str:
    try:
        return sha256_file(path, MaxBytes.IMAGE)
    except OSError:
        return ""  # reading the image raises the error
