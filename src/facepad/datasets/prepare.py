"""Preparing a data set: scan it, find the faces once, and write manifests that can be trained on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from facepad.datasets import DATASETS
from facepad.datasets.adapter import Adapter, Scan
from facepad.datasets.existing_frames import chosen_frames
from facepad.datasets.frames import DEFAULT_COUNT, ExtractedVideo, check_choice, take_frames, unreadable_videos
from facepad.datasets.manifest import manifest_text, read_manifest
from facepad.datasets.origin import origin_of, read_record, write_record
from facepad.datasets.splits import class_balance, subjects_across_splits
from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.errors import DatasetError, InputError, ManifestError, OutputExistsError, unknown_choice
from facepad.faces import DEFAULT_DETECTOR, FoundBox, find_boxes
from facepad.files.disk import sha256_file, write_text
from facepad.files.shards import file_stamp
from facepad.types import Sample

__all__ = ["PrepareSummary", "prepare"]

_NAMED = 5  # of a list, on the terminal; prepare.json has all


@dataclass(frozen=True, slots=True)
class PrepareSummary:
    """What :func:`prepare` made, and everything that it left out.

    Attributes:
        dataset: Name of the adapter.
        protocol: Name of the protocol.
        seed: Seed of its random choices.
        root: The data set's folder as it was given.
        detector: Name of the face detector.
        manifests: The files written, in fold order.
        counts: Manifest file name -> split ("none" without one) -> label -> number of images.
        skipped: (what, why) for lines and files that are not of the data set.
        unreadable: (path relative to the data set's folder, why) for images or videos that could not be read.
        no_face: Paths, relative to the output folder, of images that stay with an empty box.
        notes: One line each on things worth knowing.
        frames_per_video: Frames asked for of each video; None for images, or when asked for by time.
        frames_per_second: Frames asked for of each second of a video; None for images, or when asked for by number.
        incomplete: (path relative to the data set's folder, why) for videos that gave fewer frames than they should.
        videos_without_face: Paths, relative to the data set's folder, of videos with empty boxes only.
    """

    dataset: str
    protocol: str
    seed: int
    root: Path
    detector: str
    manifests: list[Path]
    counts: dict[str, dict[str, dict[str, int]]]
    skipped: list[tuple[str, str]]
    unreadable: list[tuple[str, str]]
    no_face: list[str]
    notes: list[str]
    frames_per_video: int | None = None
    frames_per_second: float | None = None
    incomplete: list[tuple[str, str]] = field(default_factory=list)
    videos_without_face: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types, with licence, citation and the manifests' hashes."""
        adapter = DATASETS[self.dataset]
        return {
            "dataset": self.dataset,
            "protocol": self.protocol,
            "seed": self.seed,
            "root": str(self.root),
            "licence": adapter.licence,
            "citation": adapter.citation,
            "detector": self.detector,
            "manifests": {
                path.name: {"sha256": sha256_file(path), "counts": self.counts[path.name]} for path in self.manifests
            },
            "notes": self.notes,
            "skipped": [list(entry) for entry in self.skipped],
            "unreadable": [list(entry) for entry in self.unreadable],
            "no_face": self.no_face,
            **(self._of_videos() if DATASETS[self.dataset].videos else {}),
        }

    def _of_videos(self) -> dict[str, Any]:
        return {
            "frames_per_video": self.frames_per_video,
            "frames_per_second": self.frames_per_second,
            "incomplete": [list(entry) for entry in self.incomplete],
            "videos_without_face": self.videos_without_face,
        }

    def to_text(self) -> str:
        """A few lines for the terminal: counts per manifest and split, and what was left out."""
        lines = [f"{self.dataset}, protocol {self.protocol}, seed {self.seed}, boxes by {self.detector}"]
        for path in self.manifests:
            lines.append(str(path))
            for split, labels in self.counts[path.name].items():
                lines.append(f"  {split:5} " + ", ".join(f"{count} {label}" for label, count in labels.items()))
        for why, count in Counter(why for _, why in self.skipped).items():
            lines.append(f"skipped {count}: {why}")
        lines += [f"unreadable, left out: {why}" for _, why in self.unreadable]
        lines += [f"incomplete: {video}: {why}" for video, why in self.incomplete]
        lines.append(f"images without a face, kept with an empty box: {len(self.no_face)}")
        if DATASETS[self.dataset].videos:
            names = ", ".join(self.videos_without_face[:_NAMED])
            more = ", ..." if len(self.videos_without_face) > _NAMED else ""
            count = len(self.videos_without_face)
            lines.append(f"videos without a face in any frame, kept: {count}{f' ({names}{more})' if count else ''}")
        return "\n".join(lines + self.notes)


def prepare(
    dataset: str,
    root: Path,
    out: Path,
    *,
    protocol: str | None = None,
    seed: int = 0,
    jobs: int | None = None,
    detector: str = DEFAULT_DETECTOR,
    detector_model: Path | None = None,
    frames_per_video: int | None = None,
    frames_per_second: float | None = None,
    progress: bool = True,
) -> PrepareSummary:
    """Write manifests with face boxes for a data set to ``out``.

    ``out`` gets manifest.csv (protocols with folds: manifest-fold0.csv and so on), boxes.jsonl (the box cache; another
    protocol or seed in the same folder uses it again) and prepare.json (what was done). Images without a face stay
    with an empty box; unreadable ones are left out and listed. Of a data set of videos, frames are written to
    ``out``/frames first, as :func:`~facepad.datasets.frames.extract_frames` says; the manifests list those images.

    Args:
        dataset: A name in ``DATASETS``.
        root: The data set's folder (for "manifest", the CSV file).
        out: Output folder; made if missing.
        protocol: A protocol of the data set; None takes its first.
        seed: Seed of random protocols.
        jobs: Processes for the detection; None uses all cores.
        detector: Name of the face detector.
        detector_model: Its model file, for detectors that need one.
        frames_per_video: Frames to take of each video, evenly over its time (of frames that lie in its place: evenly by
            number); None takes 20. For data sets of videos.
        frames_per_second: Frames to take of each second of a video, instead.
        progress: Whether to show a progress bar on stderr.

    Raises:
        InputError: jobs or frames_per_video below 1, frames_per_second not above 0, both of them, or one for a data set
            of images.
        DatasetError: an unknown data set or protocol; a folder that is not what the adapter expects; a subject in two
            splits of a subject-disjoint protocol; more than 5 % of the images or videos unreadable.
        OutputExistsError: ``out`` already holds a manifest of that name that says something else.
    """
    if dataset not in DATASETS:
        raise DatasetError(unknown_choice("data set", dataset, DATASETS))
    adapter, root, out = DATASETS[dataset], Path(root), Path(out)
    chosen = adapter.protocol(protocol)
    wanted = _wanted_frames(adapter, frames_per_video, frames_per_second)
    scan = adapter.scan(root, chosen.name, seed)
    if chosen.subject_disjoint:
        _refuse_shared_subjects(scan, adapter, chosen.name)
    record = read_record(out)
    videos: dict[str, ExtractedVideo] = {}
    if adapter.videos and scan.of_frames:
        _refuse_other_frames(out, scan, wanted)
        scan = chosen_frames(scan, wanted["frames_per_video"])
    elif adapter.videos:
        _refuse_other_videos(out, scan)
        _refuse_other_frames(out, scan, wanted)
        count, rate = wanted["frames_per_video"], wanted["frames_per_second"]
        scan, videos = take_frames(adapter, scan, out, count=count, rate=rate, jobs=jobs, progress=progress)
        refuse_mostly_unreadable(dict(unreadable_videos(videos)), len(videos), f"videos of {root}")
    _refuse_before_search(out, scan)
    given = adapter.videos and any(sample.box is not None for samples in scan.folds.values() for sample in samples)
    boxes = _boxes(scan, out, jobs=jobs, detector=detector, detector_model=detector_model, progress=progress)
    unreadable = [(path, found.error) for path, found in boxes.items() if found.error is not None]
    images = {sample.path for samples in scan.folds.values() for sample in samples}
    refuse_mostly_unreadable(dict(unreadable), len(images), f"images of {root}")
    finished = {
        _file_name(fold): _relative_to(out, scan.root, _with_boxes(samples, boxes))
        for fold, samples in scan.folds.items()
    }
    _write_manifests(out, finished)
    summary = PrepareSummary(
        dataset=dataset,
        protocol=chosen.name,
        seed=seed,
        root=root,
        detector=f"{dataset}'s own, else {detector}" if given else detector,
        manifests=[out / name for name in finished],
        counts={name: class_balance(samples) for name, samples in finished.items()},
        skipped=scan.skipped,
        unreadable=unreadable_videos(videos) + unreadable,
        no_face=sorted({s.path for samples in finished.values() for s in samples if s.box is None}),
        notes=scan.notes,
        **wanted,
        incomplete=[(name, video.note) for name, video in videos.items() if video.note is not None],
        videos_without_face=_videos_without_face(finished) if adapter.videos else [],
    )
    write_record(out, record, summary.to_dict())
    return summary


def _wanted_frames(adapter: Adapter, per_video: int | None, per_second: float | None) -> dict[str, Any]:
    """What is taken of each video, as `PrepareSummary` names it; nothing of images."""
    given = per_video is not None or per_second is not None
    if given and not adapter.videos:
        name = "frames per second" if per_video is None else "frames per video"
        raise InputError(f"{adapter.name} is a data set of images: {name} do not apply")
    if adapter.videos:
        per_video = per_video if given else DEFAULT_COUNT
        check_choice(per_video, per_second)
    return {"frames_per_video": per_video, "frames_per_second": per_second}


def _videos_without_face(finished: dict[str, list[Sample]]) -> list[str]:
    samples = [sample for samples in finished.values() for sample in samples]
    faces = {sample.video for sample in samples if sample.box is not None}
    return sorted({sample.video for sample in samples if sample.video is not None} - faces)


def _file_name(fold: str) -> str:
    return f"manifest-{fold}.csv" if fold else "manifest.csv"


def _refuse_shared_subjects(scan: Scan, adapter: Adapter, protocol: str) -> None:
    for samples in scan.folds.values():
        shared = subjects_across_splits(samples)
        if shared:
            subject, splits = next(iter(shared.items()))
            raise DatasetError(
                f"{adapter.name}, protocol {protocol}: {len(shared)} subjects stand in two splits "
                f"(first: {subject} in {' and '.join(splits)}); give each person one name and one split"
            )


def _relative_to(out: Path, root: Path, samples: Iterable[Sample]) -> list[Sample]:
    # Both sides without links: the system resolves ".." after them, so text alone would lead astray.
    way = os.path.relpath(root.resolve(), out.resolve())
    return [replace(sample, path=Path(way, sample.path).as_posix()) for sample in samples]


def _refuse_before_search(out: Path, scan: Scan) -> None:
    """Fail early, not after minutes: on names that no manifest can hold, and on an ``out`` that holds other data."""
    for fold, samples in scan.folds.items():
        path, planned = out / _file_name(fold), _relative_to(out, scan.root, samples)
        manifest_text(planned, str(path))
        _refuse_other_data(path, planned)


def _refuse_other_data(path: Path, planned: Iterable[Sample]) -> None:
    """Raise unless ``path`` is free or holds a manifest of these very images, labels and splits."""
    if not path.exists():
        return
    known = {replace(sample, box=None) for sample in planned}
    rows = _rows(path)
    if not rows or not all(replace(row, box=None) in known for row in rows):
        raise _other_manifest(path)


def _rows(path: Path) -> list[Sample]:
    """The samples of a manifest; none where the file is no manifest."""
    try:
        return read_manifest(path)
    except ManifestError:
        return []


def _other_manifest(path: Path) -> OutputExistsError:
    return OutputExistsError(f"{path} already holds another manifest; remove it or choose another output folder")


def _refuse_other_videos(out: Path, scan: Scan) -> None:
    """Raise where ``out`` holds a manifest of other videos, labels or splits: before hours of decoding."""
    for fold, samples in scan.folds.items():
        path = out / _file_name(fold)
        # A name that no manifest can hold is found out here, too.
        manifest_text(samples, str(path))
        if path.exists():
            known = {replace(sample, video=sample.path, path="") for sample in samples}
            rows = {replace(row, path="", frame=None, box=None) for row in _rows(path)}
            if not rows or not rows <= known:
                raise _other_manifest(path)


def _refuse_other_frames(out: Path, scan: Scan, wanted: dict[str, Any]) -> None:
    """Raise where ``out`` holds manifests of frames that were chosen otherwise: frames would be taken twice."""
    for fold in scan.folds:
        path = out / _file_name(fold)
        origin = origin_of(path)
        before = {name: origin.get(name) for name in wanted}
        if path.exists() and any(before.values()) and before != wanted:
            raise OutputExistsError(
                f"{path} holds {_in_words(before)}, not {_in_words(wanted)}; remove it or choose another output folder"
            )


def _in_words(frames: dict[str, Any]) -> str:
    return next(f"{value:g} {name.replace('_', ' ')}" for name, value in frames.items() if value is not None)


def _boxes(
    scan: Scan,
    out: Path,
    *,
    jobs: int | None,
    detector: str,
    detector_model: Path | None,
    progress: bool,
) -> dict[str, FoundBox]:
    """Sample path -> what was found, for each image that has no box yet (once each), or that is not there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make output folder {out}: {error.strerror or error}") from error
    base = scan.root.resolve()
    wanted = {s.path: base / s.path for samples in scan.folds.values() for s in samples if s.box is None}
    known = {s.path: base / s.path for samples in scan.folds.values() for s in samples if s.box is not None}
    found = find_boxes(
        list(wanted.values()),
        detector=detector,
        detector_model=detector_model,
        cache=out / "boxes.jsonl",
        jobs=jobs,
        progress=progress,
    )
    lost = {name: FoundBox(None, (0, 0), why, "") for name, path in known.items() if (why := _missing(path))}
    return lost | {name: found[path] for name, path in wanted.items()}


def _missing(path: Path) -> str:
    """Why a file, or a member of a shard, is not there; nothing where it is."""
    try:
        file_stamp(path)
    except (OSError, ValueError) as error:
        return f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})"
    return ""


def _with_boxes(samples: Iterable[Sample], boxes: dict[str, FoundBox]) -> list[Sample]:
    """The readable samples, each with the box that it had or that was found."""
    finished: list[Sample] = []
    for sample in samples:
        found = boxes.get(sample.path)
        if found is None:
            finished.append(sample)
        elif found.error is None:
            finished.append(replace(sample, box=found.box))
    return finished


def _write_manifests(out: Path, finished: dict[str, list[Sample]]) -> None:
    texts = {out / name: manifest_text(samples, str(out / name)) for name, samples in finished.items()}
    for path, text in texts.items():
        if path.exists() and path.read_bytes() != text.encode():
            raise OutputExistsError(
                f"{path} already holds a manifest with other boxes; remove it or choose another output folder"
            )
    for path, text in texts.items():
        if not path.exists():
            write_text(path, text)
