"""Out-of-fold logits: every sample is scored by a network that has not seen its person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facepad.metrics import read_scores, write_scores
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.scorers import BundleScorer
from facepad.types import Sample, ScoreRecord
from facepad.workflow.adapt.candidates import Candidate
from facepad.workflow.adapt.fitting import FitData, fit_candidate
from facepad.workflow.adapt.folds import Fold
from facepad.workflow.calibrate import LogitScorer
from facepad.workflow.scoring import score_samples

__all__ = ["OutOfFold"]


@dataclass(frozen=True)
class OutOfFold:
    """Scores candidates on people whom their training did not see. Finished scores are read from files.

    Attributes:
        data: The data that all fits share.
        samples: The samples with face boxes.
        folds: The folds.
        work: Folder of the fits and their scores, one folder per candidate.
        done: A function that is called after each fit, and after a candidate ``as-is``.
    """

    data: FitData
    samples: Sequence[Sample]
    folds: Sequence[Fold]
    work: Path
    done: Callable[[], None]

    def logits(self, candidate: Candidate) -> list[ScoreRecord]:
        """The out-of-fold records of a candidate ``as-is`` or ``trained``, with logits as scores."""
        if candidate.bundle is not None:
            records = self._scored(candidate.bundle, self.samples, self.work / candidate.name / "logits.csv")
            self.done()
            return records
        by_path: dict[tuple[str, int | None], ScoreRecord] = {}
        for fold in self.folds:
            by_path |= {(record.path, record.frame): record for record in self.fold_logits(candidate, fold)}
            self.done()
        return [by_path[sample.path, sample.frame] for sample in self.samples]

    def fold_logits(self, candidate: Candidate, fold: Fold) -> list[ScoreRecord]:
        """The records of a fold's people, scored by the network that was trained without them."""
        file = self.work / candidate.name / f"fold-{fold.number}.csv"
        return self._scored(self.fold_model(candidate, fold), fold.held_out(self.samples), file)

    def fold_model(self, candidate: Candidate, fold: Fold) -> Bundle:
        """The network that was trained without the people of a fold."""
        return self._fit(candidate, fold.training(self.samples), f"fold-{fold.number}")

    def whole_model(self, candidate: Candidate) -> Bundle:
        """The network that was trained on all people."""
        return self._fit(candidate, self.samples, "all")

    def _fit(self, candidate: Candidate, samples: Sequence[Sample], name: str) -> Bundle:
        assert candidate.training is not None
        return fit_candidate(candidate.training, self.data, samples, self.work / candidate.name / name)

    def _scored(self, bundle: Bundle, samples: Sequence[Sample], file: Path) -> list[ScoreRecord]:
        if file.is_file():
            return list(read_scores(file).records)
        records = score_samples(LogitScorer(BundleScorer(bundle)), self.data.root, samples).records
        write_scores(file, records)
        return records
