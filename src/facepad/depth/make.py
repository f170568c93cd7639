"""Making the depth maps of a manifest: every bona fide face once, in threads, going on where a run stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import read_manifest, resolve
from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.depth.engines import DepthEngine, create_engine
from facepad.depth.store import DepthStore, depth_folder, load_depth
from facepad.depth.template import TemplateDepth
from facepad.errors import ImageError, InputError
from facepad.files.disk import sha256_file
from facepad.media.images import read_image
from facepad.runtime.parallel import available_cpus, map_ahead
from facepad.types import Label, Sample

__all__ = ["DepthSummary", "make_depth"]

# Maps written together: a kill loses at most these.
_BATCH = 32
_LISTED = 5


@dataclass(frozen=True, slots=True)
class DepthSummary:
    """What :func:`make_depth` did, and everything that is out of the ordinary.

    Attributes:
        folder: Where the maps lie.
        engine: The engine's identity.
        made: Maps made in this run.
        kept: Maps that an earlier run had made.
        attacks: Attack samples: their label is all zeros and is not stored.
        fell_back: Paths of images in which the engine found no face; their map is the template's mean face.
        no_box: Paths of bona fide samples without a face square; they have no map.
        unreadable: Path to reason, for bona fide images that could not be read; they have no map.
        agreement: Median correlation of the engine's own maps with the template's mean face, over the stored square;
            None where the engine made none, or is the template.
    """

    folder: Path
    engine: str
    made: int
    kept: int
    attacks: int
    fell_back: list[str]
    no_box: list[str]
    unreadable: dict[str, str]
    agreement: float | None

    def to_text(self) -> str:
        """A few lines for the terminal: counts, and what has no map of its own."""
        lines = [
            f"{self.folder}: {self.made + self.kept} depth maps by {self.engine} ({self.kept} from earlier runs); "
            f"{self.attacks} attacks are all zeros"
        ]
        if self.agreement is not None:
            lines.append(f"median correlation with the template's mean face: {self.agreement:.2f}")
        if self.fell_back:
            lines.append(f"no face seen by the engine, template's mean face instead: {_some(self.fell_back)}")
        if self.no_box:
            lines.append(f"bona fide without a face square, no map: {_some(self.no_box)}")
        lines += [f"unreadable, no map: {why}" for why in self.unreadable.values()]
        return "\n".join(lines)


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return f"{len(paths)} ({', '.join(paths[:_LISTED])}{more})"


@dataclass(frozen=True, slots=True)
class _Made:
    """One image's map and the engine that made it, or the error that stopped it."""

    sample: Sample
    levels: NDArray[np.uint8] | None = None
    sha256: str = ""
    engine: str = ""
    error: str = ""


def make_depth(
    manifest: Path,
    *,
    engine: str | DepthEngine,
    model: Path | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> DepthSummary:
    """Make and store the depth map of every bona fide sample with a face square; attacks need none.

    The maps go to ``depth/ENGINE`` beside the manifest. Those of an earlier run, of the same image and square, are
    kept; a run that was stopped goes on where it was.

    Args:
        manifest: The manifest, with boxes.
        engine: A name in ``ENGINES``, or an engine.
        model: The model file, for an engine given by name that has one; None takes the usual one.
        jobs: Number of threads; None takes one per CPU that this process may use.
        progress: Show a progress bar on stderr.

    Raises:
        InputError: an unknown engine, jobs below 1, no bona fide sample with a face square, more than 5 % of the bona
            fide images unreadable, or stored maps of another model.
        ModelError: the model file is missing or wrong.
        RunError: the disk is full, or another run fills the same folder.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}")
    manifest = Path(manifest)
    samples = read_manifest(manifest)
    faces = [sample for sample in samples if sample.label is Label.BONA_FIDE and sample.box is not None]
    if not faces:
        raise InputError(f"{manifest} has no bona fide sample with a face square; facepad data prepare finds the faces")
    chosen = create_engine(engine, model=model) if isinstance(engine, str) else engine
    folder = depth_folder(manifest) / chosen.name
    with DepthStore(folder, chosen.identity) as store:
        known = {sample: store.engine_of(sample, _digest(resolve(manifest, sample))) for sample in faces}
        missing = [sample for sample, name in known.items() if name is None]
        made, unreadable = _fill(store, chosen, manifest, missing, len(faces), jobs, progress)
        store.note_unreadable([sample.path for sample in faces], unreadable)
    by = {sample: name for sample, name in (known | made).items() if name is not None}
    return DepthSummary(
        folder=folder,
        engine=chosen.identity,
        made=len(made),
        kept=len(by) - len(made),
        attacks=sum(sample.label is Label.ATTACK for sample in samples),
        fell_back=[sample.path for sample, name in by.items() if name != chosen.name],
        no_box=[s.path for s in samples if s.label is Label.BONA_FIDE and s.box is None],
        unreadable=unreadable,
        agreement=_agreement(manifest, [sample for sample, name in by.items() if name == chosen.name], chosen.name),
    )


def _agreement(manifest: Path, samples: Sequence[Sample], engine: str) -> float | None:
    """Median correlation of stored maps with the mean face; flat maps, which have none, are left out."""
    if engine == TemplateDepth.name or not samples:
        return None
    maps = load_depth(manifest, samples, engine)
    mean = TemplateDepth().levels
    made = [maps.of(sample) for sample in samples if sample in maps]
    values = [float(np.corrcoef(levels.ravel(), mean.ravel())[0, 1]) for levels in made if np.ptp(levels)]
    return float(np.median(values)) if values else None


def _fill(
    store: DepthStore,
    engine: DepthEngine,
    manifest: Path,
    missing: Sequence[Sample],
    total: int,
    jobs: int | None,
    progress: bool,
) -> tuple[dict[Sample, str], dict[str, str]]:
    """Make and store what is missing: sample to engine of each map made, path to reason of each image not read."""
    made: dict[Sample, str] = {}
    unreadable: dict[str, str] = {}
    fallback = TemplateDepth()
    results = map_ahead(
        lambda sample: _make(sample, engine, fallback, manifest), missing, threads=jobs or available_cpus()
    )
    with _progress(len(missing), shown=progress and bool(missing)) as advance:
        while batch := list(islice(results, _BATCH)):
            good = [(result, result.levels) for result in batch if result.levels is not None]
            unreadable |= {result.sample.path: result.error for result in batch if result.levels is None}
            if good:
                store.append(
                    [result.sample for result, _ in good],
                    [result.sha256 for result, _ in good],
                    [levels for _, levels in good],
                    [result.engine for result, _ in good],
                )
            made |= {result.sample: result.engine for result, _ in good}
            refuse_mostly_unreadable(unreadable, total, f"bona fide images of {manifest}")
            advance(len(batch))
    return made, unreadable


def _make(sample: Sample, engine: DepthEngine, fallback: TemplateDepth, manifest: Path) -> _Made:
    assert sample.box is not None
    path = resolve(manifest, sample)
    sha256 = _digest(path)  # first: an image that changes meanwhile is then made again
    try:
        image = read_image(path)
    except ImageError as error:
        return _Made(sample, error=str(error))
    levels = engine.depth(image, sample.box)
    if levels is None:
        return _Made(sample, fallback.depth(image, sample.box), sha256, fallback.name)
    return _Made(sample, levels, sha256, engine.name)


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return ""  # reading it will say why


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of images done."""
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("depth maps", total=total)
        yield lambda count: bar.advance(task, count)
