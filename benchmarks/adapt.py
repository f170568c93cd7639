"""facepad adapt on draws of a few people: the error on all other people, and the error that the adaptation promised.

    python benchmarks/adapt.py poor MANIFEST FOLDER     write the images as a poor camera would show them
    python benchmarks/adapt.py run MANIFEST WORK        adapt on the draws, and measure (continues after a break)
    python benchmarks/adapt.py cover MANIFEST WORK      promise and error of the public networks on many draws
    python benchmarks/adapt.py table WORK --out PAGE    write the page; --site NAME names the images

MANIFEST is a manifest of single images with face boxes, such as that of NUAA. Each draw takes a few people at random,
and IMAGES images of each class of each of them. The test takes TEST images of each class of each other person. On the
same draws, the ways to make one model of all people, and to choose its threshold, are compared for the network that is
trained further. `cover` needs no training, and therefore takes many draws. `poor` makes a site where the public
networks are weak: each image is reduced to a third of its size, and gets noise and a strong JPEG compression, whatever
its class.
"""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from _common import made_by, markdown, parser, processor_time, publish
from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.media.images import read_image
from facepad.metrics import eer, hter, read_scores, threshold_at
from facepad.metrics.expected import expected_rates
from facepad.modelfile.bundle import Bundle, read_bundle
from facepad.modelfile.scorers import BundleScorer, Prepared
from facepad.types import Label, Sample, ScoreRecord
from facepad.workflow.adapt.adapted import Adapted, AdaptSettings
from facepad.workflow.adapt.candidates import find_candidates
from facepad.workflow.adapt.choice import ThresholdChoice, decided
from facepad.workflow.adapt.fitting import FitData, fit_candidate
from facepad.workflow.adapt.folds import folds_by_person, people_by_class
from facepad.workflow.adapt.job import adapt
from facepad.workflow.adapt.logits import even_logit
from facepad.workflow.calibrate import LogitScorer
from facepad.workflow.scoring import score_samples

IMAGES, TEST = 40, 20
#: Number of people -> number of draws.
DRAWS = {3: 4, 4: 3, 6: 2, 9: 2, 12: 2}
#: Further draws, after those of `DRAWS`: with three people, the error depends most on who they are.
MORE = {3: 12}
#: Number of draws of each number of people for `cover`.
MANY = 150
PUBLIC = "minifasnet-v2se-celeba-spoof"
TUNED = f"{PUBLIC}-tuned"
CANDIDATES = (PUBLIC, TUNED, "tla-mobilenetv2", "attention-fusion")
Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Crops:
    """The crops of samples, and their classes."""

    samples: list[Sample]
    prepared: list[Prepared]

    @classmethod
    def of(cls, root: Path, samples: Sequence[Sample], scorer: BundleScorer) -> Crops:
        return cls(list(samples), [scorer.prepare(read_image(root / each.path), each.box) for each in samples])

    def logits(self, bundle: Bundle) -> Logits:
        scorer = BundleScorer(bundle, threads=1)
        parts = [self.prepared[start : start + 32] for start in range(0, len(self.prepared), 32)]
        return np.concatenate([scorer.score(part).logits for part in parts])

    def split(self, logits: Logits) -> tuple[Logits, Logits]:
        live = np.array([each.label is Label.BONA_FIDE for each in self.samples])
        return logits[live], logits[~live]

    def where(self, people: Sequence[str]) -> NDArray[np.bool_]:
        return np.array([each.subject in people for each in self.samples])


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """``count`` samples, evenly spaced."""
    if len(samples) <= count:
        return list(samples)
    return [samples[number * len(samples) // count] for number in range(count)]


def picked(samples: Sequence[Sample], people: Sequence[str], count: int) -> list[Sample]:
    """``count`` samples of each class of each of these people."""
    parts = ([s for s in samples if (s.subject, s.label) == (p, label)] for p in people for label in Label)
    return [sample for part in parts for sample in spread(part, count)]


def draws(samples: Sequence[Sample]) -> list[tuple[str, list[str]]]:
    """The draws: name and people. All people have images of both classes."""
    both = [{s.subject for s in samples if s.label is label} for label in Label]
    people, generator = sorted(both[0] & both[1]), np.random.default_rng(0)
    wanted = [(n, number) for n in DRAWS for number in range(DRAWS[n])]
    wanted += [(n, DRAWS[n] + number) for n in MORE for number in range(MORE[n])]
    chosen = [(n, number, generator.permutation(people)[:n].tolist()) for n, number in wanted]
    return [(f"{n}-{number}", sorted(drawn)) for n, number, drawn in sorted(chosen, key=lambda draw: draw[1])]


def poor(manifest: Path, folder: Path) -> None:
    """Write IMAGES images of each class of each person as a poor camera would show them, with a manifest."""
    samples = [sample for sample in read_manifest(manifest) if sample.box is not None]
    people = sorted(set.intersection(*people_by_class(samples).values()))
    written, generator = [], np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number, sample in enumerate(picked(samples, people, IMAGES)):
        image = read_image(manifest.parent / sample.path)
        size = image.shape[1], image.shape[0]
        small = cv2.resize(image, (size[0] // 3, size[1] // 3), interpolation=cv2.INTER_AREA)
        noisy = np.clip(small + generator.normal(0, 8, small.shape), 0, 255).astype(np.uint8)
        _, coded = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])
        shown = cv2.resize(cv2.imdecode(coded, cv2.IMREAD_COLOR), size, interpolation=cv2.INTER_LINEAR)
        path = f"{number:05}.jpg"
        cv2.imwrite(str(folder / path), shown, [cv2.IMWRITE_JPEG_QUALITY, 95])
        written.append(replace(sample, path=path))
    write_manifest(folder / "manifest.csv", written)


def run(manifest: Path, work: Path) -> None:
    """Adapt on all draws and measure. Finished draws are kept."""
    samples = [sample for sample in read_manifest(manifest) if sample.box is not None]
    (work / "features").mkdir(parents=True, exist_ok=True)
    for name, people in draws(samples):
        folder = work / name
        if (folder / "result.json").exists():
            continue
        kept = (folder / "out" / "work" / TUNED).exists()
        others = sorted({sample.subject for sample in samples} - set(people))
        adapted, seconds = _adapted(manifest, folder, picked(samples, people, IMAGES), work / "features")
        tested = picked(samples, others, TEST)
        shown = Crops.of(manifest.parent, tested, BundleScorer(public := _public()))
        result = {
            "people": len(people),
            "winner": adapted.winner.name,
            "cpu_seconds": None if kept else seconds,
            "expected": adapted.to_dict()["expected"]["acer"],
            **_measured(adapted, Crops.of(manifest.parent, tested, BundleScorer(adapted.bundle))),
            "public": _rates(shown, shown.logits(public), None),
            "ways": _ways(adapted, folder, shown),  # the copy takes the same crops as the public network
        }
        (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(result), flush=True)


def _adapted(manifest: Path, folder: Path, samples: Sequence[Sample], features: Path) -> tuple[Adapted, float]:
    site, out = folder / "site", folder / "out"
    site.mkdir(parents=True, exist_ok=True)
    (out / "work").mkdir(parents=True, exist_ok=True)
    (out / "data").mkdir(exist_ok=True)
    if not (out / "work" / "features").exists():  # one store for all draws
        (out / "work" / "features").symlink_to(features.resolve(), target_is_directory=True)
    way = os.path.relpath(manifest.parent.resolve(), site.resolve())
    write_manifest(site / "manifest.csv", [replace(s, path=Path(way, s.path).as_posix()) for s in samples])
    (out / "model.facepad").unlink(missing_ok=True)  # left by an interrupted benchmark
    started = processor_time()
    adapted = adapt(site / "manifest.csv", out, AdaptSettings(jobs=1, only=CANDIDATES))
    return adapted, processor_time() - started


def _measured(adapted: Adapted, tested: Crops) -> dict[str, float]:
    line, threshold = adapted.bundle.description.calibration, adapted.bundle.description.threshold
    assert threshold is not None
    chosen = (np.log(threshold.value / (1 - threshold.value)) - line.offset) / line.slope
    return _rates(tested, tested.logits(adapted.bundle), float(chosen))


def _rates(tested: Crops, logits: Logits, threshold: float | None) -> dict[str, float]:
    live, attack = tested.split(logits)
    rates = {"eer": eer(live, attack)}
    return rates if threshold is None else {**rates, "hter": hter(live, attack, threshold)}


def _public() -> Bundle:
    found = {each.name: each for each in find_candidates("yunet", train=False).candidates}[PUBLIC].bundle
    assert found is not None
    return found


def _ways(adapted: Adapted, folder: Path, tested: Crops) -> dict[str, dict[str, float]]:
    """EER and HTER of the trained network for each way to make one model of all people."""
    samples, root, work = read_manifest(adapted.manifest), adapted.manifest.parent, folder / "out" / "work"
    folds = adapted.plan.folds
    models = [read_bundle(work / TUNED / f"fold-{fold.number}" / "model.facepad") for fold in folds]
    [training] = [each.training for each in adapted.plan.candidates if each.name == TUNED]
    assert training is not None
    whole = fit_candidate(training, FitData(root, work / "features"), samples, work / TUNED / "all")
    seen = Crops.of(root, samples, BundleScorer(whole))
    logits = [seen.logits(model) for model in models]
    held = [seen.where(sorted(fold.people)) for fold in folds]
    pooled = np.sum([np.where(part, values, 0.0) for part, values in zip(held, logits, strict=True)], axis=0)
    live = np.array([each.label is Label.BONA_FIDE for each in samples])
    own = [threshold_at(values[part & live], values[part & ~live]) for part, values in zip(held, logits, strict=True)]
    threshold = float(np.mean(own))
    scaled = [_scale(seen, values, ~part) for part, values in zip(held, logits, strict=True)]
    matched = np.sum(
        [
            np.where(part, (values - low) / (high - low), 0.0)
            for part, values, (low, high) in zip(held, logits, scaled, strict=True)
        ],
        axis=0,
    )
    out_of_fold = [each for fold in folds for each in read_scores(work / TUNED / f"fold-{fold.number}.csv").records]
    on_all = tested.logits(whole)
    low, high = _scale(seen, seen.logits(whole), np.ones(len(samples), bool))
    place = threshold_at(*seen.split(matched))
    return {
        "mean weights of the folds": _rates(tested, tested.logits(averaged_weights(models)), threshold),
        "mean logits of the folds": _rates(tested, np.mean([tested.logits(m) for m in models], axis=0), threshold),
        "trained on all": _rates(tested, on_all, threshold),
        "trained on all, pooled": _rates(tested, on_all, threshold_at(*seen.split(pooled))),
        "trained on all, even": _rates(tested, on_all, even_logit(out_of_fold)),
        "trained on all, matched": _rates(tested, on_all, low + place * (high - low)),
    }


def averaged_weights(models: Sequence[Bundle]) -> Bundle:
    """One model with the mean of the models' weights. All models have the same graphs."""
    first = models[0]
    files = dict(first.files)
    for network in first.description.networks:
        [name] = network.files
        graphs = [onnx.load_from_string(model.files[name]) for model in models]
        for place, tensor in enumerate(graphs[0].graph.initializer):
            values = [numpy_helper.to_array(graph.graph.initializer[place]) for graph in graphs]
            if values[0].dtype.kind == "f":
                mean = np.mean(np.stack(values), axis=0, dtype=np.float64).astype(values[0].dtype)
                tensor.CopyFrom(numpy_helper.from_array(mean, tensor.name))
        files[name] = graphs[0].SerializeToString(deterministic=True)
    return replace(first, files=files)


def _scale(seen: Crops, logits: Logits, trained: NDArray[np.bool_]) -> tuple[float, float]:
    """Means of the logits of attacks and of bona fide images that a network was trained on."""
    live = np.array([each.label is Label.BONA_FIDE for each in seen.samples])
    return float(logits[trained & ~live].mean()), float(logits[trained & live].mean())


def cover(manifest: Path, work: Path) -> None:
    """How often the error of a public network on new people lies in the promised interval."""
    samples = [sample for sample in read_manifest(manifest) if sample.box is not None]
    people = sorted(set.intersection(*people_by_class(samples).values()))
    chosen = picked(samples, people, IMAGES)
    rows: dict[str, dict[str, list[list[float]]]] = {}
    for public in find_candidates("yunet", train=False).candidates:
        assert public.bundle is not None
        records = score_samples(LogitScorer(BundleScorer(public.bundle)), manifest.parent, chosen).records
        generator = np.random.default_rng(0)
        rows[public.name] = {
            str(count): [_promise(records, chosen, generator.permutation(people)[:count]) for _ in range(MANY)]
            for count in DRAWS
        }
    work.mkdir(parents=True, exist_ok=True)
    (work / "cover.json").write_text(json.dumps(rows) + "\n", encoding="utf-8")


def _promise(records: Sequence[ScoreRecord], samples: Sequence[Sample], people: NDArray[np.str_]) -> list[float]:
    """The promised ACER with the ends of its interval, and the ACER of all other people."""
    drawn = [record for record in records if record.subject in people]
    folds = folds_by_person([sample for sample in samples if sample.subject in people])
    promised = expected_rates(decided(drawn, ThresholdChoice(folds, "eer")))["acer"]
    new = _classes([record for record in records if record.subject not in people])
    return [promised.value, promised.low, promised.high, hter(*new, threshold_at(*_classes(drawn)))]


def _classes(records: Sequence[ScoreRecord]) -> tuple[Logits, Logits]:
    """Scores of bona fide samples and of attacks."""
    bona_fide, attack = (np.array([each.score for each in records if each.label is label]) for label in Label)
    return bona_fide, attack


def page(work: Path, site: str) -> str:
    """The page of all finished draws of a site."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob("*/result.json"))]
    groups = {count: [each for each in results if each["people"] == count] for count in DRAWS}
    text = f"# Adaptation to a site\n\n{made_by('python benchmarks/adapt.py')}\n"
    if (work / "cover.json").exists():
        head = ["network", "people", "draws", "HTER", "promised ACER", "interval", "inside"]
        text += _COVER.format(images=IMAGES, table=markdown(head, _cover_rows(work)))
    if results:
        head = ["people", "draws", "public EER", "EER", "HTER", "promised ACER", "inside", "CPU s", "chosen"]
        found = {count: group for count, group in groups.items() if group}
        table = markdown(head, [_row(count, group) for count, group in found.items()])
        rows = [[name, *(_both(group, name) for group in found.values())] for name in results[0]["ways"]]
        ways = markdown(["one model of all people", *(f"{count} people: EER / HTER" for count in found)], rows)
        text += _DRAWS.format(site=site, images=IMAGES, test=TEST, table=table, ways=ways)
    return text


def _row(count: int, group: Sequence[Mapping[str, Any]]) -> list[object]:
    inside = sum(
        round(each["expected"]["low"], 4) <= each["hter"] <= each["expected"]["high"] for each in group
    )  # an error of 0 lies in an interval that the page shows as 0.00 % to ...
    ends = [_mean(each["expected"][end] for each in group) for end in ("low", "high")]
    seconds = [each["cpu_seconds"] for each in group if each["cpu_seconds"] is not None]
    return [
        count,
        len(group),
        f"{_mean(each['public']['eer'] for each in group):.2f} %",
        f"{_mean(each['eer'] for each in group):.2f} %",
        f"{_mean(each['hter'] for each in group):.2f} %",
        f"{ends[0]:.1f} to {ends[1]:.1f} %",
        f"{inside} of {len(group)}",
        f"{statistics.mean(seconds):.0f}" if seconds else "",
        ", ".join(f"{count} x {name}" for name, count in Counter(each["winner"] for each in group).most_common()),
    ]


def _cover_rows(work: Path) -> list[list[object]]:
    if not (work / "cover.json").exists():
        return []
    found = json.loads((work / "cover.json").read_text(encoding="utf-8"))
    return [
        [
            name,
            count,
            len(each),
            f"{_mean(row[3] for row in each):.2f} %",
            f"{_mean(row[0] for row in each):.2f} %",
            f"{_mean(row[1] for row in each):.1f} to {_mean(row[2] for row in each):.1f} %",
            f"{_mean(row[1] <= row[3] <= row[2] for row in each):.0f} %",
        ]
        for name, counts in found.items()
        for count, each in counts.items()
    ]


def _both(group: Sequence[Mapping[str, Any]], name: str) -> str:
    return " / ".join(f"{_mean(each['ways'][name][rate] for each in group):.2f} %" for rate in ("eer", "hter"))


def _mean(values: Any) -> float:
    return 100 * statistics.mean(values)


_COVER = """
## What the drawn people promise

Public networks without training, on random draws of people of NUAA, with {images} images of each class of each person.
*HTER* is the error on all other people, at the threshold that the drawn people give. *Promised ACER* and its 95 %
*interval* come from the drawn people alone, each judged at the threshold of the others, as `facepad adapt` does it.
*Inside* is the share of draws whose HTER lies in their own interval. NUAA has one kind of attack, so ACER and HTER are
the same rate.

{table}"""

_DRAWS = """
## Adaptation: {site}

`facepad adapt` on random draws, with {images} images of each class of each person. The test takes {test} images of each
class of every other person. The candidates are one public network, a copy that is trained further,
TLA-MobileNetV2, AttentionFusion, and their fusions. *HTER* is that of the chosen model at its own threshold. *Inside*
counts the draws whose HTER lies in the interval, with its lower end rounded to 0.01 %. The CPU seconds do not count
features that an earlier draw has stored, and are left out where the trainings themselves were stored.

{table}
The trained copy alone: three ways to make one model of all people, and three other thresholds. The threshold is the
mean of the thresholds of the folds, each from the logits of its own people. The mean of the logits needs as many
networks as there are folds. *Pooled* takes the threshold of all out-of-fold logits together. *Even*, the way of
`facepad adapt`, is the score of 0.5 of the calibration of these logits. *Matched* puts the pooled threshold at the same
place between the mean logits of both classes in training.

{ways}"""


def main(argv: Sequence[str] | None = None) -> None:
    command = parser(__doc__)
    tasks = command.add_subparsers(dest="task", required=True)
    for task in (poor, run, cover):
        runs = tasks.add_parser(task.__name__)
        runs.add_argument("manifest", type=Path)
        runs.add_argument("work", type=Path)
        runs.set_defaults(run=task)
    table = tasks.add_parser("table")
    table.add_argument("work", type=Path)
    table.add_argument("--site", default="NUAA", help="what the images show, for the heading")
    table.add_argument("--out", type=Path)
    arguments = command.parse_args(argv)
    if arguments.task != "table":
        arguments.run(arguments.manifest, arguments.work)
    else:
        publish(page(arguments.work, arguments.site), arguments.out)


if __name__ == "__main__":
    main()
