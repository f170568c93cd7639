"""From a scores file to a summary: which records choose the threshold, and which are measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from facepad.errors import ScoresError
from facepad.metrics.scores import read_scores
from facepad.metrics.summary import PadSummary, summarize
from facepad.metrics.table import Cluster, best_cluster
from facepad.metrics.thresholds import CHOSEN_ON_ITSELF, choose_threshold
from facepad.types import ScoreRecord, Split

__all__ = ["metrics_from_file"]


def metrics_from_file(
    path: Path,
    criterion: str | float = "eer",
    *,
    dev: Path | None = None,
    cluster: Cluster | Literal["auto"] | None = "auto",
    bootstrap: int = 1000,
    seed: int = 0,
) -> PadSummary:
    """Measure a scores file.

    The threshold is chosen on the dev lines and applied to the test lines. A file without dev lines (and no ``dev``
    file) has its threshold chosen on the very scores that are measured, which the threshold's origin says.

    Args:
        path: A scores.csv or a bob score file.
        criterion: As in `parse_criterion`; a number is taken as the threshold.
        dev: A second file, all of whose lines choose the threshold (bob writes dev and eval scores apart); of ``path``
            then the test lines are measured, or all lines if they name no split.
        cluster: "subject" or "video" to resample those in intervals; None counts frames as independent; "auto" takes
            the widest that the file names.
        bootstrap: Number of resamples.
        seed: Seed of the resamples.

    Raises:
        ScoresError: a file breaks its contract, or names a split on some lines only.
        MetricError: one class has no scores, or an unknown criterion.
    """
    path = Path(path)
    file = read_scores(path)
    by_split = _by_split(file.records, path)
    measured = next(part for part in (by_split.get(s) for s in (Split.TEST, Split.DEV, Split.TRAIN, None)) if part)
    notes = list(file.notes)
    if dev is not None:
        dev_file = read_scores(Path(dev))
        chooses, source, note = list(dev_file.records), str(dev), ""
        notes += [f"{dev}: {line}" for line in dev_file.notes]
    else:
        chooses, source = by_split.get(Split.DEV) or measured, str(path)
        note = CHOSEN_ON_ITSELF if chooses is measured else ""
    unused = len(file.records) - len(measured) - (0 if dev or chooses is measured else len(chooses))
    if unused:
        notes.append(f"{unused} lines of other splits are neither measured nor used for the threshold")
    threshold = choose_threshold(
        chooses,
        criterion,
        source=source,
        cluster=best_cluster(chooses) if cluster == "auto" else cluster,
        bootstrap=bootstrap,
        seed=seed,
        note=note,
    )
    return summarize(
        measured,
        threshold,
        source=str(path),
        cluster=best_cluster(measured) if cluster == "auto" else cluster,
        bootstrap=bootstrap,
        seed=seed,
        notes=notes,
    )


def _by_split(records: Sequence[ScoreRecord], path: Path) -> dict[Split | None, list[ScoreRecord]]:
    parts: dict[Split | None, list[ScoreRecord]] = {}
    for record in records:
        parts.setdefault(record.split, []).append(record)
    if None in parts and len(parts) > 1:
        counts = Counter("no split" if record.split is None else record.split.value for record in records)
        found = ", ".join(f"{count} with {name}" for name, count in sorted(counts.items()))
        raise ScoresError(f"{path}: expected a split on every line or on none, got {found}")
    return parts
