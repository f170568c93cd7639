"""Measure public networks and their fusions on several sets, and write the page of the default model.

    python benchmarks/default_model.py WORK PAGE --set NAME=MANIFEST ... --every NAME=N ... --model KEY=MODEL ... \
        --candidate KEY+KEY ... --from NAME --ship KEY+KEY

A model is a name from `facepad list models`, a model file or a run folder. No model may have been trained on one of the
sets. ``--every`` takes every Nth sample of a set. WORK keeps the logits, and a second run computes only missing logits.

A candidate is fitted to sets in four steps: Platt scaling of each network, the mean of the scaled logits, Platt scaling
of this mean, and the threshold (criterion EER). All sets have the same weight, and so have both classes of a set.

Each candidate is measured on each set twice: fitted to **the other sets** (leave one set out), and fitted to the set
``--from`` alone. ``--ship`` names the candidate of the default model. The page ends with its weights, its calibration
and its threshold, fitted to ``--from``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from _common import made_by, markdown, parser, publish
from facepad.datasets.manifest import read_manifest
from facepad.metrics import logistic_regression, read_scores, write_scores
from facepad.modelfile.catalog import find_model
from facepad.modelfile.scorers import BundleScorer
from facepad.types import Label
from facepad.workflow.calibrate import LogitScorer
from facepad.workflow.scoring import score_samples

Floats = NDArray[np.float64]
Rates = tuple[float, float, float]
"""EER, APCER and BPCER in percent."""

INTRODUCTION = """<!-- written by benchmarks/default_model.py; do not edit by hand -->
# The default model

{made_by}

None of these networks was trained on one of these sets. The manifest of `nuaa-portraits` lists every 40th image of NUAA
(prints before a webcam), and 208 web portraits as further bona fide images. The other sets are external: public
pictures of two webcams, with a phone's screen as the attack, and of an office, with paper prints of web portraits. They
have few people, so the figures say "another camera", not "another population". Each set has one attack instrument.
Rates are in percent. Images without a face are left out.

The fused logit is the mean of the networks' logits after Platt scaling. The criterion of the thresholds is EER. In each
fit, all sets and both classes have the same weight. No figure is measured at a threshold that has seen the measured
set, except where a table says so. `silent-face` was measured with ONNX files that were converted from the published
`.pth` weights, not with the ONNX files of the catalogue.

{models}
"""


@dataclass(frozen=True)
class Data:
    """The logits of one set: one row per model, one column per image with a face, and whether an image is bona fide."""

    logits: Mapping[str, Floats]
    bona_fide: NDArray[np.bool_]
    without_face: int


@dataclass(frozen=True)
class Fitted:
    """A fused and calibrated candidate: P(bona fide) = sigmoid(sum of weight x logit + offset)."""

    weights: Mapping[str, float]
    offset: float
    threshold: float  # of the calibrated logit

    def logits(self, data: Data) -> Floats:
        """The calibrated logits of a set."""
        return sum(weight * data.logits[model] for model, weight in self.weights.items()) + self.offset


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("work", type=Path)
    options.add_argument("page", type=Path)
    for name in ("set", "model", "every"):
        options.add_argument(f"--{name}", action="append", default=[], type=lambda word: word.split("=", 1))
    options.add_argument("--candidate", action="append", default=[])
    options.add_argument("--from", dest="source", required=True)
    options.add_argument("--ship", required=True)
    arguments = options.parse_args(words)
    every = {name: int(number) for name, number in arguments.every}
    arguments.work.mkdir(parents=True, exist_ok=True)
    models = dict(arguments.model)
    sets = {name: load(arguments.work, name, Path(path), every.get(name, 1), models) for name, path in arguments.set}
    ship = fit([sets[arguments.source]], arguments.ship.split("+"))
    origin = INTRODUCTION.format(
        made_by=made_by(command(arguments.candidate, every, arguments.source, arguments.ship)),
        models="".join(f"- `{key}`: {Path(model).stem}\n" for key, model in models.items()),
    )
    publish(
        origin + page(sets, arguments.candidate, arguments.source, every) + shipped(arguments.ship, ship),
        arguments.page,
    )


def command(candidates: Sequence[str], every: Mapping[str, int], source: str, ship: str) -> str:
    """The command line, without the paths of this machine."""
    words = [f"--every {name}={number}" for name, number in every.items()]
    words += [f"--candidate {candidate}" for candidate in candidates]
    return f"python benchmarks/default_model.py WORK PAGE ... {' '.join(words)} --from {source} --ship {ship}"


def load(work: Path, name: str, manifest: Path, every: int, models: Mapping[str, str]) -> Data:
    """The logits of a set, from WORK or newly computed."""
    logits, bona_fide = {}, np.zeros(0, bool)
    for key, model in models.items():
        file = work / f"{name}-{every}-{key}.csv"
        if not file.exists():
            samples = read_manifest(manifest)[::every]
            scorer = LogitScorer(BundleScorer(find_model(model).read(), threads=1))
            write_scores(file, score_samples(scorer, manifest.parent, samples, title=file.name).records)
        records = read_scores(file).records
        logits[key] = np.array([np.nan if record.score is None else record.score for record in records])
        bona_fide = np.array([record.label is Label.BONA_FIDE for record in records])
    found = np.isfinite(np.stack(list(logits.values()))).all(axis=0)
    return Data({key: values[found] for key, values in logits.items()}, bona_fide[found], int((~found).sum()))


def balanced(sets: Sequence[Data]) -> Floats:
    """A weight for each image: all sets weigh the same, and so do both classes of a set. The sum is 1."""
    weights = [np.where(data.bona_fide, 0.5 / data.bona_fide.sum(), 0.5 / (~data.bona_fide).sum()) for data in sets]
    return np.concatenate(weights) / len(sets)


def platt(logits: Floats, bona_fide: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """Slope and offset of a weighted Platt scaling."""
    center, spread = logits.mean(), logits.std()
    columns = np.stack([(logits - center) / spread, np.ones_like(logits)])
    slope, offset = logistic_regression(columns, bona_fide.astype(float), weights)
    return float(slope / spread), float(offset - slope * center / spread)


def crossing(logits: Floats, bona_fide: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """The threshold at which the weighted error rates of both classes are most similar, and their mean there."""
    order = np.argsort(logits)
    values, weights, live = logits[order], 2 * weights[order], bona_fide[order]
    rejected = np.concatenate([[0.0], np.cumsum(np.where(live, weights, 0.0))])  # bona fide below the threshold
    accepted = 1 - np.concatenate([[0.0], np.cumsum(np.where(live, 0.0, weights))])  # attacks at the threshold or above
    cuts = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    best = int(np.abs(rejected - accepted).argmin())
    return float(cuts[best]), float((rejected[best] + accepted[best]) / 2)


def fit(sets: Sequence[Data], members: Sequence[str]) -> Fitted:
    """Fit a candidate to sets: Platt scaling, mean, Platt scaling of the mean, and the threshold."""
    sets = list(sets)
    bona_fide, weights = np.concatenate([data.bona_fide for data in sets]), balanced(sets)
    lines = {
        member: platt(np.concatenate([data.logits[member] for data in sets]), bona_fide, weights) for member in members
    }
    raw = Fitted(
        {member: slope / len(lines) for member, (slope, _) in lines.items()},
        sum(offset for _, offset in lines.values()) / len(lines),
        0.0,
    )
    slope, offset = platt(np.concatenate([raw.logits(data) for data in sets]), bona_fide, weights)
    whole = Fitted({member: slope * weight for member, weight in raw.weights.items()}, slope * raw.offset + offset, 0.0)
    threshold, _ = crossing(np.concatenate([whole.logits(data) for data in sets]), bona_fide, weights)
    return Fitted(whole.weights, whole.offset, threshold)


def rates(fitted: Fitted, data: Data) -> Rates:
    """EER, and APCER and BPCER at the threshold of the candidate, in percent."""
    logits = fitted.logits(data)
    live = logits >= fitted.threshold
    apcer, bpcer = live[~data.bona_fide].mean(), (~live)[data.bona_fide].mean()
    return 100 * abs(crossing(logits, data.bona_fide, balanced([data]))[1]), 100 * float(apcer), 100 * float(bpcer)


def page(sets: Mapping[str, Data], candidates: Sequence[str], source: str, every: Mapping[str, int]) -> str:
    """The tables: the sets, the EER of each candidate, and its error rates at both thresholds."""
    counts = [
        (name, every.get(name, 1), data.bona_fide.sum(), (~data.bona_fide).sum(), data.without_face)
        for name, data in sets.items()
    ]
    left_out, alone = {}, {}
    for candidate in candidates:
        members = candidate.split("+")
        for name, data in sets.items():
            others = [other for key, other in sets.items() if key != name]
            left_out[candidate, name] = rates(fit(others, members), data)
            alone[candidate, name] = rates(fit([sets[source]], members), data)
    external = [name for name in sets if name != source]
    return "\n".join(
        [
            "",
            markdown(["set", "every Nth image", "bona fide", "attacks", "without a face"], counts),
            "## EER, fitted to the other sets\n",
            _table(left_out, sets, external, lambda found: f"{found[0]:.1f}", lambda found: found[0]),
            "## ACER (APCER, BPCER), fitted to the other sets\n",
            _table(left_out, sets, external, _acer_text, _acer),
            f"## ACER (APCER, BPCER), fitted to {source} alone\n",
            f"The column {source} is optimistic, because the threshold was chosen on this set.\n",
            _table(alone, sets, external, _acer_text, _acer),
        ]
    )


def _table(
    found: Mapping[tuple[str, str], Rates],
    sets: Mapping[str, Data],
    external: Sequence[str],
    text: Callable[[Rates], str],
    value: Callable[[Rates], float],
) -> str:
    """A row per candidate and a column per set, with the mean of the external sets."""
    rows = [
        (
            candidate,
            *(text(found[candidate, name]) for name in sets),
            f"{np.mean([value(found[candidate, name]) for name in external]):.1f}",
        )
        for candidate in dict.fromkeys(candidate for candidate, _ in found)
    ]
    return markdown(["candidate", *sets, "mean of the external sets"], rows)


def _acer(found: Rates) -> float:
    return (found[1] + found[2]) / 2


def _acer_text(found: Rates) -> str:
    return f"{_acer(found):.1f} ({found[1]:.1f}, {found[2]:.1f})"


def shipped(name: str, fitted: Fitted) -> str:
    """The numbers for the model's description: the weight of each network, the calibration and the threshold."""
    value = 1 / (1 + np.exp(-fitted.threshold))
    weights = ", ".join(f"{member} {weight:.4f}" for member, weight in fitted.weights.items())
    return f"\nThe default model is {name}: weights {weights}; offset {fitted.offset:.4f}; threshold {value:.4f}.\n"


if __name__ == "__main__":
    main()
