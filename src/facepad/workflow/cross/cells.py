"""Training of the runs and scoring of the cells. Finished runs and cells are read from the output folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from facepad.datasets.manifest import manifest_hash
from facepad.errors import DatasetError, OutputExistsError
from facepad.files.disk import read_json, write_json
from facepad.files.opening import MaxBytes
from facepad.metrics import read_scores, write_scores
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.run_folder import RunFolder
from facepad.modelfile.scorers import BundleScorer
from facepad.runtime.progress import Advance
from facepad.types import Sample, ScoreRecord
from facepad.workflow.cross.plan import Cell, Member, Plan, identity
from facepad.workflow.scoring import SCORES_FILE, ScoredSamples, dev_samples, refuse_all_unreadable, score_samples

__all__ = ["ScoredCell", "Workplace", "score_cells", "train_runs"]

_CELL_FILE = "cell.json"
#: Images between two steps of the progress bar.
_CHUNK = 256


@dataclass(frozen=True)
class ScoredCell:
    """The scores of one cell.

    Attributes:
        cell: The cell.
        bundle: The model.
        records: Scores of the measured samples.
        dev: Scores of the dev samples that choose the threshold; empty without a dev set.
        unreadable: Path -> reason, for each measured image that could not be read.
    """

    cell: Cell
    bundle: Bundle
    records: list[ScoreRecord]
    dev: list[ScoreRecord]
    unreadable: dict[str, str] = field(default_factory=dict)


def _hash(manifest: Path) -> str:
    """`manifest_hash`, computed once for each state of the file."""
    status = manifest.stat()
    return _hash_of(manifest, status.st_mtime_ns, status.st_size)


@lru_cache
def _hash_of(manifest: Path, modified: int, size: int) -> str:
    return manifest_hash(manifest)


@dataclass(frozen=True)
class Workplace:
    """The places of scores in the output folder.

    Attributes:
        out: The output folder.
    """

    out: Path

    def of_cell(self, cell: Cell) -> Path:
        """The folder with a cell's scores."""
        return self.out / "cells" / cell.member.key / cell.key

    def of_dev(self, cell: Cell) -> Path:
        """The folder with the scores of the dev samples that choose a cell's threshold."""
        assert cell.dev is not None
        digest = _hash(cell.dev)[:8]
        return self.out / "dev" / cell.member.key / digest

    def finished(self, plan: Plan) -> int:
        """Number of finished cells."""
        return sum((self.of_cell(cell) / _CELL_FILE).exists() for cell in plan.cells)

    def to_score(self, plan: Plan) -> int:
        """Number of images that are still to be scored, dev images included."""
        sizes = {self.of_cell(cell): len(plan.samples[cell.manifest]) for cell in plan.cells}
        sizes |= {self.of_dev(cell): len(dev_samples(cell.dev)) for cell in plan.cells if cell.dev}
        return sum(size for folder, size in sizes.items() if not (folder / _CELL_FILE).exists())


def train_runs(plan: Plan, advance: Advance) -> None:
    """Train the runs of the recipes that are not finished. An interrupted run continues from its last epoch.

    Raises:
        InputError: a finished run is of another recipe or manifest, or a recipe does not fit the data.
        RunError: a training failed.
    """
    for member in plan.members:
        if member.recipe is not None:
            _train(member, plan.train[member.fold])
            advance()


def _train(member: Member, manifest: Path) -> None:
    from facepad.workflow.train import train_run  # local: it needs PyTorch

    assert member.recipe is not None
    run = RunFolder(member.found.path)
    if not run.is_finished:
        if run.path.exists() and not run.is_begun:  # a call that was killed before the run had a recipe
            shutil.rmtree(run.path)
        train_run(member.recipe, manifest, run.path, resume=run.is_begun)
        return
    begun = run.read(run.recipe_file, "recipe", "manifest_sha256")
    same = begun["recipe"] == member.recipe.model_dump(mode="json")
    if not same or begun["manifest_sha256"] != manifest_hash(manifest):
        raise OutputExistsError(f"{run.path} is a run of another recipe or manifest; choose another output folder")


def score_cells(plan: Plan, out: Path, advance: Advance) -> Iterator[ScoredCell]:
    """Score the cells in the order of the plan. Scores of an earlier call are read.

    Raises:
        OutputExistsError: the folder holds scores of another model or manifest.
        DatasetError: none of the images of a set can be read.
    """
    work = Workplace(out)
    for _, group in groupby(plan.cells, key=lambda cell: cell.member.key):
        cells = list(group)
        member = cells[0].member
        scoring = _Scoring(member, member.found.read(), plan.settings.batch_size, advance)
        for cell in cells:
            dev: list[ScoreRecord] = []
            if cell.dev is not None:
                dev, _ = scoring.scores(work.of_dev(cell), cell.dev, dev_samples(cell.dev))
            records, unreadable = scoring.scores(work.of_cell(cell), cell.manifest, plan.samples[cell.manifest])
            yield ScoredCell(cell, scoring.bundle, records, dev, unreadable)


@dataclass(frozen=True)
class _Scoring:
    """Scoring with one member. The network is loaded only if scores are missing."""

    member: Member
    bundle: Bundle
    batch_size: int
    advance: Advance

    @cached_property
    def _scorer(self) -> BundleScorer:
        return BundleScorer(self.bundle)

    @cached_property
    def _identity(self) -> str:
        return identity(self.member.found, self.bundle)

    def scores(
        self, folder: Path, manifest: Path, samples: Sequence[Sample]
    ) -> tuple[list[ScoreRecord], dict[str, str]]:
        """Scores and unreadable images of samples, from the folder or from the network. ``cell.json`` is written last.

        Raises:
            OutputExistsError: the folder holds scores of another model or manifest.
            DatasetError: none of the images can be read.
        """
        known = {"model": self._identity, "manifest_sha256": _hash(manifest)}
        if (found := _finished(folder, known)) is None:
            try:
                found = self._score(manifest.parent, samples)
            except DatasetError as error:
                raise DatasetError(f"{manifest}: {error}") from None
            write_scores(folder / SCORES_FILE, found.records)
            write_json(folder / _CELL_FILE, known | {"unreadable": found.unreadable})
        return found.records, found.unreadable

    def _score(self, root: Path, samples: Sequence[Sample]) -> ScoredSamples:
        whole = ScoredSamples([], {})
        for start in range(0, len(samples), _CHUNK):
            part = samples[start : start + _CHUNK]
            scored = score_samples(self._scorer, root, part, batch_size=self.batch_size)
            whole.records.extend(scored.records)
            whole.unreadable.update(scored.unreadable)
            self.advance(len(part))
        refuse_all_unreadable(whole)
        return whole


def _finished(folder: Path, known: dict[str, str]) -> ScoredSamples | None:
    """The scores of an earlier call; None if they are not finished."""
    try:
        found: dict[str, Any] = dict(read_json(folder / _CELL_FILE, MaxBytes.TABLE))
    except (OSError, ValueError, TypeError):
        return None
    if any(found.get(key) != value for key, value in known.items()):
        raise OutputExistsError(f"{folder} holds scores of another model or manifest; choose another output folder")
    return ScoredSamples(list(read_scores(folder / SCORES_FILE).records), found["unreadable"])
