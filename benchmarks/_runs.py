"""Runs on NUAA: prepare, train and evaluate missing runs, and make presentations of held-out kinds."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from _common import commit, facepad, parser
from facepad.datasets.manifest import read_manifest, resolve, write_manifest
from facepad.media.images import read_image, write_image
from facepad.recapture import PRINT_FAMILIES
from facepad.training.augment import present
from facepad.types import AttackType, Label, Sample, Split

#: Protocols with several manifests in one folder -> first part of the manifests' names.
NUMBERED = {"subject-kfold": "manifest-fold", "choice": "manifest-"}


#: Kinds of re-capture that are held out from training: one print and one screen.
HELD_OUT = ("inkjet", "oled")


@dataclass(frozen=True)
class Run:
    """One training and its evaluation."""

    row: str
    recipe: str
    protocol: str
    part: int  # seed, or number of the fold of subject-kfold
    overrides: tuple[str, ...] = ()
    probes: bool = False
    criterion: str | None = None

    @property
    def name(self) -> str:
        return f"{self.row.replace(', ', '-').replace(' ', '-')}-{self.protocol}-{self.part}"

    @property
    def manifest(self) -> str:
        if self.protocol in NUMBERED:
            return f"{self.protocol}/{NUMBERED[self.protocol]}{self.part}.csv"
        return f"random80-{self.part}/manifest.csv" if self.protocol == "random80" else f"{self.protocol}/manifest.csv"


def execute(root: Path, work: Path, runs: Sequence[Run], *, depth: bool = False) -> None:
    """Make all missing manifests, models and reports. If ``depth`` is true, make missing depth maps as well."""
    for entry in runs:
        ready_manifest(root, work, entry, depth=depth)
        if not (work / "reports" / entry.name / "made.json").exists():
            _train_and_evaluate(work, entry)


def ready_manifest(root: Path, work: Path, entry: Run, *, depth: bool = False) -> Path:
    """The manifest of a run. It is made if it is missing, and its depth maps too if ``depth`` is true."""
    manifest = work / entry.manifest
    if not manifest.exists():
        _prepare(root, work, entry)
    if depth:
        make_depth_maps(manifest)
    return manifest


def _prepare(root: Path, work: Path, entry: Run) -> None:
    """Write the manifest of a run. All protocols share the face boxes and one feature folder."""
    out = (work / entry.manifest).parent
    out.mkdir(parents=True, exist_ok=True)
    (work / "features").mkdir(parents=True, exist_ok=True)
    if not (out / "features").exists():
        (out / "features").symlink_to((work / "features").resolve(), target_is_directory=True)
    boxes = next(work.glob("*/boxes.jsonl"), None)
    if boxes is not None and not (out / "boxes.jsonl").exists():
        shutil.copy(boxes, out / "boxes.jsonl")
    seed = entry.part if entry.protocol == "random80" else 0
    facepad("data", "prepare", "nuaa", root, out, "--protocol", entry.protocol, "--seed", seed, "--detector", "dlib")


def make_depth_maps(manifest: Path) -> None:
    """Make the depth maps of a manifest, unless an earlier call has made them."""
    done = manifest.parent / "depth" / f"{manifest.stem}.done"
    if not done.exists():
        facepad("data", "depth", manifest, "--engine", "facemesh")
        done.touch()


def _train_and_evaluate(work: Path, entry: Run) -> None:
    print(f"== {entry.name}", flush=True)
    manifest, folder, report = (work / part for part in (entry.manifest, f"runs/{entry.name}", f"reports/{entry.name}"))
    started = time.monotonic()
    if not (folder / "model.json").exists():
        settings = [word for override in entry.overrides for word in ("--set", override)]
        facepad("train", entry.recipe, manifest, folder, "--resume", *settings)
    trained = time.monotonic()
    shutil.rmtree(report, ignore_errors=True)  # left by an interrupted evaluation
    criterion = ["--criterion", entry.criterion] if entry.criterion else []
    probes = [] if entry.probes else ["--no-probes"]
    facepad("evaluate", folder, manifest, report, "--no-thumbnails", *criterion, *probes)
    made = {
        "train_seconds": round(trained - started, 1),
        "evaluate_seconds": round(time.monotonic() - trained, 1),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine_of(folder),
    }
    (report / "made.json").write_text(json.dumps(made), encoding="utf-8")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def measured(model: object, manifest: Path, report: Path, *options: str) -> dict[str, Any]:
    """The metrics of a model on a manifest. If the report exists, it is read and not made again."""
    if not (report / "metrics.json").exists():
        shutil.rmtree(report, ignore_errors=True)  # left by an interrupted evaluation
        facepad("evaluate", model, manifest, report, "--no-thumbnails", *options)
    metrics: dict[str, Any] = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def machine_of(run: Path) -> str:
    """Device, number of CPU cores and torch version of a run's training."""
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    return f"{environment['device']}, {environment['cpu_count']} CPU cores, torch {environment['packages']['torch']}"


def unseen_presentations(source: Path, folder: Path, *, split: Split = Split.TEST, every: int = 4) -> Path:
    """Make and prepare a manifest with re-captures of held-out kinds as test attacks, and return its path.

    The dev images are those of ``source``. The test has about every Nth bona fide image of ``split`` twice: not
    re-captured, as bona fide, and re-captured, as an attack. Both are encoded with the same JPEG quality, so that
    compression does not separate the classes. Faces are detected again, because re-capture moves the face.
    """
    manifest = folder / "prepared" / "manifest.csv"
    if manifest.exists():
        return manifest
    samples: list[Sample] = []
    for number, sample in enumerate(read_manifest(source)):
        if sample.split is Split.DEV:
            samples.append(replace(sample, path=os.path.relpath(resolve(source, sample), folder)))
        if sample.split is split and sample.label is Label.BONA_FIDE and number % every == 0 and sample.box:
            original = read_image(resolve(source, sample))
            name = f"bona-fide-{number}.jpg"
            write_image(folder / name, original, quality=90)
            samples.append(replace(sample, path=name, box=None, split=Split.TEST))
            family = HELD_OUT[number // every % 2]
            shown = present(original, np.random.default_rng([7, number]), (family,))
            name = f"{family}-{Path(sample.path).stem}-{number}.jpg"
            write_image(folder / name, shown, quality=90)
            kind = AttackType.PRINT if family in PRINT_FAMILIES else AttackType.REPLAY_PHOTO
            samples.append(Sample(name, sample.subject, Label.ATTACK, kind, Split.TEST))
    write_manifest(folder / "manifest.csv", samples)
    facepad("data", "prepare", "manifest", folder / "manifest.csv", folder / "prepared", "--detector", "dlib")
    return manifest


Stage = Callable[[Path, Path], None]


def command_line(doc: str | None, run: Stage, tables: Stage, words: Sequence[str] | None = None) -> None:
    """Run the command line of a script: ``run NUAA_FOLDER WORK`` and ``tables WORK OUT``."""
    every = parser(doc)
    commands = every.add_subparsers(required=True)
    for name, first, second, stage in (("run", "root", "work", run), ("tables", "work", "out", tables)):
        command = commands.add_parser(name)
        command.add_argument(first, type=Path)
        command.add_argument(second, type=Path)
        command.set_defaults(places=(first, second), stage=stage)
    arguments = every.parse_args(words)
    arguments.stage(*(getattr(arguments, place) for place in arguments.places))
