"""The committed JSON file of benchmarks/attention_fusion.py: read it, bring it up to date with a WORK folder, write it.

The file keeps what a page needs of each run, because WORK folders are not kept. Runs without an origin of their own
(``made``) are older than the file. All that is known of them is the list under ``earlier``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from _runs import Run
from facepad.metrics import Resampling, compare_files, read_scores
from facepad.metrics.intervals import percentile_interval
from facepad.metrics.table import score_table
from facepad.types import Split

METRICS = ("eer", "apcer", "bpcer", "acer", "hter", "auc")
#: Facts about runs -> the key of a run's ``made`` that holds it.
ORIGINS = {"commits of the runs": "commit", "dates of the runs": "date", "trained on": "machine"}

Row = dict[str, Any]
Key = tuple[str, str, int]


def key_of(entry: Run) -> Key:
    """What identifies a run in the file: row, protocol, and seed or fold."""
    return entry.row, entry.protocol, entry.part


@dataclass
class Store:
    """The content of the file.

    Attributes:
        runs: Each run with its metrics (fractions), and where there are any: its origin, the EER of its probes, the
            seconds of its epochs (median), and its rates on presentations of held-out kinds.
        comparisons: Rows of two networks -> their EER differences (fractions) for each seed, and over all seeds.
        earlier: ``commit``, ``date`` and ``machine`` -> the values of all runs that have no own.
    """

    runs: dict[Key, Row] = field(default_factory=dict)
    comparisons: dict[tuple[str, str], Row] = field(default_factory=dict)
    earlier: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Store:
        """The stored content. It is empty if there is no file."""
        if not path.exists():
            return cls()
        content = json.loads(path.read_text(encoding="utf-8"))
        runs = {(run["row"], run["protocol"], run["part"]): run for run in content["runs"]}
        pairs = {(pair["one"], pair["other"]): pair for pair in content["comparisons"]}
        return cls(runs, pairs, content["earlier"])

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"earlier": self.earlier, "runs": [*self.runs.values()], "comparisons": [*self.comparisons.values()]}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def update(
        self, work: Path, entries: Iterable[Run], pairs: Iterable[tuple[str, str]], seeds: Sequence[int]
    ) -> None:
        """Replace or add the runs that WORK holds, in the order of ``entries``, and the comparisons between them.

        A comparison with a replaced run is dropped, unless WORK holds the scores of both runs.
        """
        order = [*entries]
        found = {key_of(entry): row for entry in order if (row := finished(work, entry))}
        changed = {key for key, row in found.items() if self.runs.get(key) != row}
        places = {key_of(entry): place for place, entry in enumerate(order)}
        runs = self.runs | found
        self.runs = {key: runs[key] for key in sorted(runs, key=lambda key: places.get(key, len(places)))}
        for pair in pairs:
            compared = _compared(work, pair, seeds, self.comparisons.get(pair, {}), changed)
            self.comparisons.pop(pair, None)
            if compared["seeds"]:
                self.comparisons[pair] = compared

    def facts(self) -> dict[str, str]:
        """Commits, dates and machines of all runs."""
        found = {
            name: {run["made"][key] for run in self.runs.values() if key in run.get("made", {})}
            for name, key in ORIGINS.items()
        }
        for name, key in ORIGINS.items():
            if any(key not in run.get("made", {}) for run in self.runs.values()):
                found[name].update(self.earlier.get(key, ()))
        return {name: ("; " if name == "trained on" else ", ").join(sorted(values)) for name, values in found.items()}


def finished(work: Path, entry: Run) -> Row | None:
    """What the file keeps of a run in WORK. None if the run is not finished."""
    report = work / "reports" / entry.name
    if not (report / "made.json").exists():
        return None
    metrics = _json(report / "metrics.json")
    row: Row = {"row": entry.row, "protocol": entry.protocol, "part": entry.part}
    row |= {name: metrics[name] for name in METRICS}
    row["made"] = _json(report / "made.json")
    if probes := metrics.get("probes"):
        row["probes"] = {name: probe["eer"]["value"] for name, probe in probes.items()}
    log = work / "runs" / entry.name / "metrics.jsonl"
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines()) if log.exists() else ()
    if seconds := [line["seconds"] for line in lines if "seconds" in line]:
        row["epoch_seconds"] = statistics.median(seconds)
    held_out = work / "reports" / f"{entry.name}-unseen-kinds" / "metrics.json"
    if held_out.exists():
        row["held_out"] = _held_out(_json(held_out))
    return row


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _held_out(metrics: Mapping[str, Any]) -> dict[str, float]:
    kinds = {
        words: metrics["instruments"][kind]["apcer"] for words, kind in (("print", "print"), ("screen", "replay_photo"))
    }
    rates = {"apcer": metrics["apcer"], **kinds, "bpcer": metrics["bpcer"], "eer": metrics["eer"]}
    return {name: rate["value"] for name, rate in rates.items()}


def _compared(work: Path, pair: tuple[str, str], seeds: Sequence[int], old: Row, changed: set[Key]) -> Row:
    """The EER of row ``other`` minus the EER of row ``one``, from WORK's scores, or else as it was stored."""
    files, kept, differences = [], True, {}
    for seed in seeds:
        both = [Run(row, "", "official", seed) for row in pair]
        reports = [work / "reports" / entry.name for entry in both]
        fits = not changed.intersection(map(key_of, both))
        kept = kept and fits
        if all((report / "made.json").exists() for report in reports):
            files.append([report / "scores.csv" for report in reports])
            eer = compare_files(*files[-1]).differences["eer"]
            differences[str(seed)] = {"difference": eer.difference, "p": eer.p}
        elif fits and str(seed) in old.get("seeds", {}):
            differences[str(seed)] = old["seeds"][str(seed)]
    together = _together(files) if len(files) == len(seeds) else old.get("together") if kept else None
    return {"one": pair[0], "other": pair[1], "seeds": differences, "together": together}


def _together(pairs: Sequence[Sequence[Path]], replicates: int = 2000) -> dict[str, float]:
    """The mean EER difference over the seeds, with its bootstrap interval.

    Each bootstrap replicate uses the same subjects for all seeds.
    """
    resampling = Resampling(replicates=replicates)
    found, drawn = [], []
    for pair in pairs:
        values, draws = [], []
        for path in pair:
            test = [record for record in read_scores(path).records if record.split is Split.TEST]
            table = score_table([record for record in test if record.score is not None], "subject")
            ranking = table.ranking()
            values.append(ranking.read().eer())
            draws.append(table.bootstrap(ranking, lambda points: (points.eer(),), resampling)[:, 0])
        found.append(values[1] - values[0])
        drawn.append(draws[1] - draws[0])
    mean, means = statistics.mean(found), np.mean(drawn, axis=0)
    low, high = percentile_interval(mean, means[~np.isnan(means)])
    return {"mean": mean, "low": low, "high": high}
