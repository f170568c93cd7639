"""Train and evaluate an older method on a manifest.

    python benchmarks/baselines.py lbp-svm MANIFEST OUT [--crop 1.0] [--no-probes] [--no-thumbnails]

The script trains on the manifest's train samples, chooses the threshold on dev and measures on test. OUT gets the same
files as from `facepad evaluate`: scores.csv, metrics.json and the reports. FASNet, the other baseline, is a recipe:
`facepad train fasnet MANIFEST RUN`, then `facepad evaluate RUN MANIFEST OUT`.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from _common import packages, parser
from _lbp_svm import LBP_SPEC, LbpSvmScorer, train_lbp_svm
from facepad.datasets.manifest import manifest_hash, read_manifest
from facepad.datasets.origin import origin_of
from facepad.datasets.splits import subjects_across_splits
from facepad.errors import FacepadError, InputError
from facepad.files.locks import new_folder
from facepad.report import ReportContent, ShortcutProbe, write_report
from facepad.types import Sample, Split
from facepad.workflow.scoring import PROBES, EvaluationOptions, check_evaluation, evaluate_samples

PACKAGES = ("facepad", "numpy", "opencv-python-headless", "scikit-image", "scikit-learn")


def lbp_svm(manifest: Path, out: Path, crop: float, criterion: str, probes: bool, thumbnails: bool) -> Path:
    """Train, evaluate and write the report, print the figures and times, and return the path of the report."""
    samples = read_manifest(manifest)
    check_evaluation(samples, criterion)
    spec = replace(LBP_SPEC, crop_scale=crop, detector=origin_of(manifest).get("detector", LBP_SPEC.detector))
    with new_folder(out, "evaluating"):
        started = time.perf_counter()
        scorer = train_lbp_svm(manifest.parent, samples, spec, progress=True)
        trained = time.perf_counter()
        for path, reason in scorer.left_out.items():
            print(f"left out: {path}: {reason}", file=sys.stderr)
        options = EvaluationOptions(criterion, probes=probes)
        evaluation = evaluate_samples(scorer, manifest.parent, samples, out, options, progress=True)
        summary = evaluation.summary
        summary = replace(summary, notes=(*summary.notes, *seen_subjects(samples)))
        content = ReportContent(
            title=f"colour-texture LBP + SVM on {manifest.parent.name}/{manifest.name}",
            summary=summary,
            records=evaluation.records,
            threshold=summary.threshold,
            image_root=manifest.parent,
            thumbnails=thumbnails,
            facts=facts(manifest, scorer),
            unreadable=evaluation.unreadable,
            probes=[
                ShortcutProbe(probe.name, probe.description, evaluation.probe_eers[probe.name])
                for probe in PROBES
                if probe.name in evaluation.probe_eers
            ],
        )
        page = write_report(out, content)
    done = time.perf_counter()
    print(f"C {scorer.cost:g}, trained on {scorer.train_images} images, {len(scorer.left_out)} left out")
    for name in ("eer", "auc", "apcer", "bpcer", "acer", "hter"):
        rate = summary.rates[name]
        print(f"{name} {rate.value:.4f} [{rate.low:.4f}, {rate.high:.4f}]")
    for name, rate in evaluation.probe_eers.items():
        print(f"eer, {name} {rate.value:.4f} [{rate.low:.4f}, {rate.high:.4f}]")
    print(f"training {trained - started:.1f} s, evaluation and report {done - trained:.1f} s")
    return page


def seen_subjects(samples: Sequence[Sample]) -> list[str]:
    """A note for the report if test subjects are also train subjects; otherwise an empty list."""
    test = {sample.subject for sample in samples if sample.split is Split.TEST}
    both = {name for name, splits in subjects_across_splits(samples).items() if {Split.TRAIN, Split.TEST} <= {*splits}}
    if not both:
        return []
    shared = f"{len(both)} of {len(test)} test subjects"
    return [f"{shared} are also train subjects (same name): the figures say little about new people"]


def facts(manifest: Path, scorer: LbpSvmScorer) -> dict[str, str]:
    return {
        "method": "uniform LBP(8, 1) of H, S, V, Y, Cr, Cb; linear SVM; calibrated on held-out train subjects",
        "C of the SVM": f"{scorer.cost:g}",
        "trained and evaluated on": f"{manifest.name}, SHA-256 {manifest_hash(manifest)}",
        "training images": f"{scorer.train_images}, {len(scorer.left_out)} left out (no face, or unreadable)",
        "input": str(scorer.spec.to_dict()),
        "packages": packages(*PACKAGES),
        "python and machine": f"{platform.python_version()}, {platform.platform()}",
    }


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    commands = options.add_subparsers(dest="command", required=True)
    command = commands.add_parser("lbp-svm", help="colour-texture LBP and a linear SVM")
    command.add_argument("manifest", type=Path)
    command.add_argument("out", type=Path, help="new folder")
    command.add_argument(
        "--crop",
        type=float,
        default=LBP_SPEC.crop_scale,
        help="side of the crop / side of the face square, at least 1",
    )
    command.add_argument("--criterion", default="eer", help="criterion of the threshold, on dev (default: eer)")
    command.add_argument("--no-probes", action="store_true", help="skip the short-cut probes")
    command.add_argument("--no-thumbnails", action="store_true", help="write a report without images of people")
    given = options.parse_args(words)
    if not given.crop >= 1:
        options.error(f"--crop must be at least 1 (the face square itself), got {given.crop:g}")
    try:
        probes, thumbnails = not given.no_probes, not given.no_thumbnails
        print(lbp_svm(given.manifest, given.out, given.crop, given.criterion, probes, thumbnails))
    except FacepadError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)


if __name__ == "__main__":
    main()
