"""Preparing a data set: scan the folder, find the faces once, and write manifests for training and evaluation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facepad.datasets import DATASETS
from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class
from facepad.datasets.existing_frames import chosen_frames
from facepad.datasets.frames import ExtractedVideo, FrameChoice, take_frames, unreadable_videos
from facepad.datasets.hdf5_frames import is_hdf5
from facepad.datasets.manifest import manifest_text, read_manifest, why_unlisted
from facepad.datasets.origin import add_run, origin_of, read_runs
from facepad.datasets.splits import (
    class_balance,
    lack_notes,
    leak_notes,
    spelling_notes,
    spellings_across_splits,
    subjects_across_splits,
)
from facepad.datasets.summary import PrepareSummary
from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.errors import DatasetError, InputError, ManifestError, OutputExistsError, unknown_choice
from facepad.faces import DETECTORS, FoundBox, default_detector, find_boxes, why_unusable
from facepad.files.disk import write_text
from facepad.files.locks import exclusive
from facepad.files.opening import MaxBytes, read_bytes
from facepad.runtime.parallel import map_ahead
from facepad.types import Sample

__all__ = ["PreparePlan", "PrepareSettings", "prepare"]

_USUAL_FRAMES = FrameChoice(count=20)
_DLIB_NOTE = (
    "faces found by dlib; YuNet finds more turned and blurred faces, and becomes the default by: facepad download yunet"
)


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """Settings of the preparation of a data set.

    Attributes:
        protocol: A protocol of the data set; None takes the data set's first protocol.
        seed: Seed of random protocols.
        detector: Name of the face detector. None takes the detector of the earlier runs in the same folder; in a new
            folder YuNet if its file is on this machine, else dlib, with a note.
        detector_model: Model file of the detector, for detectors that need a model file.
        frames: The choice of frames in each video, for data sets of videos; None takes 20 frames of each video. If the
            folder holds extracted frames in place of the videos, only a number of frames can be chosen.
    """

    protocol: str | None = None
    seed: int = 0
    detector: str | None = None
    detector_model: Path | None = None
    frames: FrameChoice | None = None


def prepare(
    dataset: str,
    root: Path,
    out: Path,
    settings: PrepareSettings | None = None,
    *,
    jobs: int | None = None,
    progress: bool = False,
) -> PrepareSummary:
    """Write manifests with face boxes for a data set to ``out``.

    ``out`` gets these files:

    - manifest.csv, or manifest-fold0.csv, manifest-fold1.csv and so on if the protocol has folds
    - boxes.jsonl, the box cache, which other protocols and seeds in the same folder use again
    - prepare.json, which describes how the manifests were made

    Images without a face keep an empty box. Unreadable images are left out and listed. For a data set of videos,
    `facepad.datasets.frames.extract_frames` first writes frames to ``out``/frames, and the manifests list these images.

    Args:
        dataset: A name in ``DATASETS``.
        root: The data set's folder (for "manifest", the CSV file).
        out: Output folder; created if missing.
        settings: Protocol, detector and frames; None takes the defaults.
        jobs: Processes for the detection; None uses all cores.
        progress: Whether to show a progress bar on stderr.

    Raises:
        InputError: jobs is below 1, or frames are chosen for a data set of images.
        DatasetError: the data set or the protocol is unknown, the folder does not have the form that the adapter
            expects, a subject is in two splits of a subject-disjoint protocol, or more than 5 % of the images or
            videos are unreadable.
        ManifestError: the folder's name cannot be written to a manifest.
        BusyError: another process prepares data in ``out``.
        OutputExistsError: ``out`` already holds a manifest of the same name with other content.
    """
    if dataset not in DATASETS:
        raise DatasetError(unknown_choice("data set", dataset, DATASETS))
    plan = _plan(DATASETS[dataset], Path(root), Path(out), settings or PrepareSettings())
    return plan.run(jobs=jobs, progress=progress)


@dataclass(frozen=True, slots=True)
class PreparePlan:
    """A preparation that has passed its checks. The checks write nothing and open no image or video.

    Attributes:
        adapter: The data set.
        protocol: The protocol of the data set.
        root: The data set's folder, as the user wrote it.
        out: The output folder.
        scan: The samples: images, whole videos, or chosen frames if the folder holds frames in place of videos.
        settings: The settings of the preparation.
        detector: Name of the face detector.
        frames: The choice of frames in each video; None for data sets of images.
    """

    adapter: Adapter
    protocol: ProtocolInfo
    root: Path
    out: Path
    scan: Scan
    settings: PrepareSettings
    detector: str
    frames: FrameChoice | None

    def run(self, *, jobs: int | None, progress: bool) -> PrepareSummary:
        """Extract the frames, find the faces and write the manifests.

        Raises:
            InputError: the folder cannot be created or written.
            BusyError: another process prepares data in the folder.
        """
        with exclusive(self.out, "preparing data"):
            return self._run(jobs, progress)

    def _run(self, jobs: int | None, progress: bool) -> PrepareSummary:
        scan = self.scan
        videos: dict[str, ExtractedVideo] = {}
        if self.frames is not None and not scan.of_frames:
            scan, videos = take_frames(self.adapter, scan, self.out, self.frames, jobs=jobs, progress=progress)
            refuse_mostly_unreadable(dict(unreadable_videos(videos)), len(videos), f"videos of {self.root}")
            for fold, samples in scan.folds.items():
                _refuse_other_data(_manifest_path(self.out, fold), _relative_to(self.out, scan.root, samples))
        searched = any(sample.box is None for samples in scan.folds.values() for sample in samples)
        if searched and self.settings.detector is None and self.detector == "dlib":
            scan = replace(scan, notes=[*scan.notes, _DLIB_NOTE])
        boxes = self._find_boxes(scan, jobs, progress)
        refuse_mostly_unreadable(_unreadable(boxes), len(_paths(scan)), f"images of {self.root}")
        finished = {
            _manifest_path(self.out, fold): _relative_to(self.out, scan.root, _with_boxes(samples, boxes))
            for fold, samples in scan.folds.items()
        }
        _write_manifests(finished)
        summary = self._summary(scan, videos, boxes, finished)
        add_run(self.out, summary.to_dict())
        return summary

    def _find_boxes(self, scan: Scan, jobs: int | None, progress: bool) -> dict[str, FoundBox]:
        """Sample path -> the detector's result for each image without a box.

        An image that cannot be opened, or whose own box does not fit it, has an error.
        """
        base = scan.root.resolve()
        samples = [sample for fold in scan.folds.values() for sample in fold]
        wanted = {sample.path: base / sample.path for sample in samples if sample.box is None}
        known = list({sample.path: sample for sample in samples if sample.box is not None}.values())
        found = find_boxes(
            list(wanted.values()),
            detector=self.detector,
            detector_model=self.settings.detector_model,
            cache=self.out / "boxes.jsonl",
            jobs=jobs,
            progress=progress,
        )
        reasons = map_ahead(lambda sample: why_unusable(base / sample.path, sample), known, threads=jobs)
        lost = {s.path: FoundBox(None, (0, 0), why, "") for s, why in zip(known, reasons, strict=True) if why}
        return lost | {name: found[path] for name, path in wanted.items()}

    def _summary(
        self,
        scan: Scan,
        videos: dict[str, ExtractedVideo],
        boxes: dict[str, FoundBox],
        finished: dict[Path, list[Sample]],
    ) -> PrepareSummary:
        given = self.adapter.videos and any(s.box is not None for fold in scan.folds.values() for s in fold)
        samples = [sample for fold in finished.values() for sample in fold]
        counts = {path.name: class_balance(fold) for path, fold in finished.items()}
        lacks = [note for name, balance in counts.items() for note in lack_notes(name, balance)]
        spellings = sorted({pair for fold in finished.values() for pair in spellings_across_splits(fold)})
        return PrepareSummary(
            adapter=self.adapter,
            protocol=self.protocol.name,
            seed=self.settings.seed,
            root=self.root,
            detector=f"{self.adapter.name}'s own, else {self.detector}" if given else self.detector,
            manifests=list(finished),
            counts=counts,
            skipped=scan.skipped,
            unreadable=unreadable_videos(videos) + list(_unreadable(boxes).items()),
            no_face=sorted({sample.path for sample in samples if sample.box is None}),
            notes=[*scan.notes, *lacks, *leak_notes(finished.values()), *spelling_notes(spellings)],
            frames=self.frames,
            incomplete=[(name, video.note) for name, video in videos.items() if video.note is not None],
            videos_without_face=_videos_without_face(samples) if self.adapter.videos else [],
        )


def _plan(adapter: Adapter, root: Path, out: Path, settings: PrepareSettings) -> PreparePlan:
    """Scan a data set, and make every check that does not open an image or video."""
    protocol = adapter.protocol(settings.protocol)
    if settings.frames is not None and not adapter.videos:
        raise InputError(f"{adapter.name} is a data set of images: {settings.frames.unit} do not apply")
    frames = (settings.frames or _USUAL_FRAMES) if adapter.videos else None
    scan = _listable(adapter.scan(root, protocol.name, settings.seed))
    for fold, samples in scan.folds.items():
        what = ", ".join(filter(None, (f"{adapter.name}, protocol {protocol.name}", fold)))
        refuse_one_class(samples, what, "videos" if adapter.videos else "images")
    if protocol.subject_disjoint:
        _refuse_shared_subjects(scan, adapter, protocol)
    detector = settings.detector or _usual_detector(read_runs(out))
    if frames is not None:
        if frames.count is None and any(is_hdf5(sample.path) for fold in scan.folds.values() for sample in fold):
            raise InputError(f"{root} holds HDF5 files without times; choose a number of frames, not a rate")
        if scan.of_frames:
            scan = chosen_frames(scan, frames)
        for fold in scan.folds:
            _refuse_other_frames(_manifest_path(out, fold), frames)
    for fold, samples in scan.folds.items():
        path = _manifest_path(out, fold)
        videos = adapter.videos and not scan.of_frames  # the manifest will list their frames, which lie in ``out``
        planned = samples if videos else _relative_to(out, scan.root, samples)
        # Invalid names are refused here, before minutes of face detection.
        manifest_text(planned, str(path))
        if videos:
            _refuse_other_videos(path, samples)
        else:
            _refuse_other_data(path, planned)
    return PreparePlan(adapter, protocol, root, out, scan, settings, detector, frames)


def _listable(scan: Scan) -> Scan:
    """The scan without the samples whose names a manifest cannot hold. These are skipped, and the others prepared."""
    folds: dict[str, list[Sample]] = {fold: [] for fold in scan.folds}
    skipped: dict[str, str] = {}
    for fold, samples in scan.folds.items():
        for sample in samples:
            if why := why_unlisted(sample.path, sample.subject, sample.video, *dict(sample.attributes).values()):
                skipped[sample.path] = why
            else:
                folds[fold].append(sample)
    return replace(scan, folds=folds, skipped=[*scan.skipped, *skipped.items()]) if skipped else scan


def _usual_detector(earlier: Sequence[Mapping[str, Any]]) -> str:
    """The detector of the earlier runs, which found the boxes in the same folder; else this machine's default."""
    used = [run["detector"] for run in earlier if run.get("detector") in DETECTORS]
    return str(used[-1]) if used else default_detector()


def _manifest_path(out: Path, fold: str) -> Path:
    return out / (f"manifest-{fold}.csv" if fold else "manifest.csv")


def _refuse_shared_subjects(scan: Scan, adapter: Adapter, protocol: ProtocolInfo) -> None:
    for samples in scan.folds.values():
        shared = subjects_across_splits(samples)
        if shared:
            subject, splits = next(iter(shared.items()))
            raise DatasetError(
                f"{adapter.name}, protocol {protocol.name}: {len(shared)} subjects are in two splits "
                f"(first: {subject} in {' and '.join(splits)}); give each person one name and one split"
            )


def _refuse_other_frames(path: Path, frames: FrameChoice) -> None:
    """Refuse a run if ``path`` is a manifest of frames that were chosen differently."""
    origin = origin_of(path)
    count, rate = origin.get("frames_per_video"), origin.get("frames_per_second")
    if path.exists() and (count or rate) and (count, rate) != (frames.count, frames.rate):
        earlier = FrameChoice(count, rate)
        raise OutputExistsError(f"{path} holds {earlier}, not {frames}; remove it or choose another output folder")


def _refuse_other_videos(path: Path, videos: Iterable[Sample]) -> None:
    """Refuse a run if ``path`` is a manifest of other videos, labels or splits. This saves hours of decoding."""
    if path.exists():
        known = {replace(sample, video=sample.path, path="") for sample in videos}
        rows = {replace(row, path="", frame=None, box=None) for row in _samples_or_nothing(path)}
        if not rows or not rows <= known:
            raise _other_manifest(path)


def _refuse_other_data(path: Path, planned: Iterable[Sample]) -> None:
    """Refuse a run if ``path`` is a manifest of other images, labels or splits.

    The manifest may list fewer images than planned, because unreadable images are left out.
    """
    if path.exists():
        known = {replace(sample, box=None) for sample in planned}
        rows = _samples_or_nothing(path)
        if not rows or not all(replace(row, box=None) in known for row in rows):
            raise _other_manifest(path)


def _samples_or_nothing(path: Path) -> list[Sample]:
    """The samples of a manifest; an empty list if the file is not a manifest."""
    try:
        return read_manifest(path)
    except ManifestError:
        return []


def _other_manifest(path: Path) -> OutputExistsError:
    return OutputExistsError(f"{path} already holds another manifest; remove it or choose another output folder")


def _relative_to(out: Path, root: Path, samples: Iterable[Sample]) -> list[Sample]:
    # Resolve symlinks first: the system applies ".." to the target of a link, not to its parent.
    way = os.path.relpath(root.resolve(), out.resolve())
    return [replace(sample, path=Path(way, sample.path).as_posix()) for sample in samples]


def _paths(scan: Scan) -> set[str]:
    return {sample.path for samples in scan.folds.values() for sample in samples}


def _unreadable(boxes: dict[str, FoundBox]) -> dict[str, str]:
    return {path: found.error for path, found in boxes.items() if found.error is not None}


def _with_boxes(samples: Iterable[Sample], boxes: dict[str, FoundBox]) -> list[Sample]:
    """The readable samples, each with its own box or the box that the detector found."""
    finished: list[Sample] = []
    for sample in samples:
        found = boxes.get(sample.path)
        if found is None:
            finished.append(sample)
        elif found.error is None:
            finished.append(replace(sample, box=found.box))
    return finished


def _videos_without_face(samples: Iterable[Sample]) -> list[str]:
    videos = {sample.video for sample in samples if sample.video is not None}
    return sorted(videos - {sample.video for sample in samples if sample.box is not None})


def _write_manifests(finished: dict[Path, list[Sample]]) -> None:
    """Write all manifests. If a manifest exists with other boxes, raise an error and write nothing."""
    texts = {path: manifest_text(samples, str(path)) for path, samples in finished.items()}
    for path, text in texts.items():
        if path.exists() and read_bytes(path, MaxBytes.TABLE) != text.encode():
            raise OutputExistsError(
                f"{path} already holds a manifest with other boxes; remove it or choose another output folder"
            )
    for path, text in texts.items():
        if not path.exists():
            write_text(path, text)
