"""Reading the images and clips of a site, and preparing them: frames of clips, face boxes, one manifest."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from facepad.datasets.adapter import Scan, require_folder
from facepad.datasets.folder import FOLDER, named_files
from facepad.datasets.frames import FrameChoice, take_frames, unreadable_videos
from facepad.datasets.manifest import read_manifest
from facepad.datasets.origin import origin_of
from facepad.datasets.prepare import PreparePlan, PrepareSettings
from facepad.errors import DatasetError, number_of, reason
from facepad.faces import DETECTORS, FoundBox, default_detector, find_boxes, why_unusable
from facepad.files.disk import sha256_file
from facepad.files.endings import NotRead, ending_of
from facepad.files.opening import MaxBytes
from facepad.media.images import IMAGE_SUFFIXES
from facepad.media.videos import VIDEO_SUFFIXES
from facepad.types import Sample, Split
from facepad.workflow.adapt.amounts import needed
from facepad.workflow.adapt.finding import (
    SHOWN,
    Finding,
    first_names,
    refuse_stops,
    shown,
    write_findings,
)
from facepad.workflow.adapt.people import one_spelling
from facepad.workflow.adapt.places import misspelt_classes, placed

__all__ = ["FORM", "Site", "prepare_site", "read_site", "require_usable"]

FORM = "live/PERSON/... and spoof/KIND/PERSON/..."
"""The form of a site's folder, for messages."""

_FRAMES = FrameChoice(count=20)
_MOST_UNREADABLE = 0.2
"""Maximum fraction of unreadable files. Above it, facepad treats the copy of the site as broken."""
_PHONE_FORMATS = frozenset({".dng"})


@dataclass(frozen=True, slots=True)
class Site:
    """The images and clips of a site. No image or clip has been opened.

    Attributes:
        name: Name of the site: the folder's or the manifest's name.
        root: The folder that the samples' paths are relative to.
        samples: One sample per image, or per clip. All samples are in the split train. A clip has no frame number. The
            subject is the person, and the attack type is the kind of attack (PAI species).
        files_not_read: Path, relative to ``root`` -> reason, for files that are not images or clips of a class.
        findings: The findings from the names of folders and files.
        scanned: Whether ``root`` was searched for the samples. If not, a manifest lists them.
        detector: The detector that found the boxes of a manifest; None if it is not known, and for a folder.
    """

    name: str
    root: Path
    samples: tuple[Sample, ...]
    files_not_read: dict[str, str]
    findings: tuple[Finding, ...] = ()
    scanned: bool = False
    detector: str | None = None


def read_site(source: Path) -> Site:
    """Read the names of a site's images and clips.

    In a folder, the names of the folders give class, kind and person: ``live/PERSON/...``, ``spoof/KIND/PERSON/...``
    or ``spoof/PERSON/...``. The usual synonyms are accepted. Deeper folders have no meaning. In a manifest, the splits
    are ignored.

    Two spellings of one name (upper case, accents in another encoding, spaces) are counted as one person.

    Args:
        source: The folder, or a manifest.csv.

    Raises:
        DatasetError: the folder is missing, has no image or clip in a class, has files outside the folders of people,
            or has folders with a misspelt class or kind. The message lists every misspelt folder.
        ManifestError: the manifest is missing or breaks its contract.
    """
    source = Path(source)
    site = _read_manifest(source) if source.exists() and not source.is_dir() else _read_folder(source)
    samples, spellings = one_spelling(site.samples)
    samples = tuple(replace(sample, split=Split.TRAIN) for sample in samples)
    return replace(site, samples=samples, findings=(*site.findings, *spellings))


def _read_manifest(path: Path) -> Site:
    if path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        raise DatasetError(f"{path} is neither a folder {FORM} nor a manifest.csv")
    samples = read_manifest(path)
    name = path.resolve().parent.name if path.stem == "manifest" else path.stem
    splits = sum(sample.split is not None for sample in samples)
    ignored = Finding("note", f"the splits of {path.name} are ignored: people are divided into folds instead")
    used = origin_of(path).get("detector")
    detector = used if used in DETECTORS else None
    return Site(name, path.parent, tuple(samples), {}, (ignored,) if splits else (), detector=detector)


def _read_folder(root: Path) -> Site:
    require_folder(root)
    scan = Scan(root, {})
    files = named_files(scan, suffixes=IMAGE_SUFFIXES | VIDEO_SUFFIXES, noun="image or video")
    name = root.resolve().name
    files, kinds = placed(files)
    refuse_stops([*misspelt_classes(path for path, _ in scan.skipped), *kinds], name)
    if not files:
        raise DatasetError(f"{root} holds no image or clip in the form {FORM}{_phone_hint(scan.skipped)}")
    strays = [file.path for file in files if file.subject is None]
    if strays:
        raise DatasetError(
            f"{root}: {number_of(len(strays), 'file')} outside the folders of people ({first_names(strays)}); "
            f"use the form {FORM}"
        )
    samples = [Sample(f.path, (f.subject or "").strip(), f.label, f.attack_type) for f in files]
    notes = [*kinds, *_not_read(scan.skipped)]
    if any(file.split for file in files):
        notes.append(
            Finding("note", "the train, dev and test folders are ignored: people are divided into folds instead")
        )
    return Site(name, root, tuple(samples), dict(scan.skipped), tuple(notes), scanned=True)


def _not_read(skipped: Sequence[tuple[str, str]]) -> list[Finding]:
    """A note with the number of files of each ending that are not images, and a warning on files without a class."""
    others = NotRead()
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for path, why in skipped:
        no_image = why == "hidden" or why.startswith("not ")
        by_reason["" if no_image else why].append(path)
        if no_image:
            others.endings["hidden" if why == "hidden" else ending_of(path)] += 1
    found, phone = [], _phone_hint(skipped)
    for why, paths in by_reason.items():
        told = why or others.counts + phone
        text = f"{number_of(len(paths), 'file was', 'files were')} not read: {told}"
        found.append(Finding("warning" if why or phone else "note", text, (first_names(paths),)))
    return found


def _phone_hint(skipped: Sequence[tuple[str, str]]) -> str:
    """The remedy for a phone's raw images, which facepad cannot read; empty if there are no such files."""
    endings = sorted({PurePosixPath(path).suffix.lower() for path, _ in skipped} & _PHONE_FORMATS)
    return (
        f"; {' and '.join(endings)} cannot be read: set the phone to save JPEG, or convert the files" if endings else ""
    )


def require_usable(site: Site, out: Path) -> None:
    """Refuse a site that cannot make a model, before its files are read.

    Raises:
        DatasetError: the samples have one class, one person or one clip, or ``out`` lies inside the site's folder.
    """
    if site.scanned and Path(out).resolve().is_relative_to(site.root.resolve()):
        # The next run would read the frames of clips in ``out`` as images of the site.
        raise DatasetError(f"{out} lies inside the site {site.root}; choose an output folder outside")
    refuse_stops((*site.findings, *needed(site.samples)), site.name)


def prepare_site(site: Site, out: Path, jobs: int | None = None, progress: bool = False) -> Path:
    """Take the frames of the clips, find the faces, and write ``out``/data/manifest.csv.

    YuNet finds the faces if its file is on this machine, otherwise dlib. Boxes of a manifest are kept, and the detector
    that found them finds the missing ones. Unreadable files and exact duplicates are left out.
    ``out``/data/findings.json holds the findings so far, including those of the severity ``stop``.
    `facepad.workflow.adapt.findings.look_at_site` reads this file and adds its own findings. An interrupted preparation
    continues. If the site has changed, the manifest of an earlier preparation is replaced.

    Args:
        site: The site.
        out: The output folder of the adaptation.
        jobs: Processes for the detection; None uses all CPU cores.
        progress: Whether to show progress bars on stderr.

    Returns:
        The path of the manifest. All samples are in the split train.

    Raises:
        DatasetError: `require_usable` refuses the site, or no file can be read.
        ManifestError: a file name cannot be written to a manifest.
        RunError: a file cannot be written.
    """
    require_usable(site, out)
    data = Path(out) / "data"
    detector = site.detector or default_detector()
    samples, broken = _images(site, data, jobs, progress)
    files = _faces(samples, data, detector, jobs, progress)
    broken |= {path: why for path, (_, why) in files.items() if why}
    digests = {path: digest for path, (digest, why) in files.items() if not why}
    kept, duplicates = _without_duplicates([s for s in samples if s.path in digests], digests)
    findings = [
        *site.findings,
        *_detector(site, detector, samples),
        *_broken(broken, len(site.samples)),
        *duplicates,
    ]
    if not kept:
        refuse_stops(findings, site.name)
    (data / "manifest.csv").unlink(missing_ok=True)  # of an earlier state of the site
    scan = Scan(data, {"": kept}, skipped=[*site.files_not_read.items(), *broken.items()])
    adapter = replace(FOLDER, name="site", title="a site")
    plan = PreparePlan(
        adapter=adapter,
        protocol=adapter.protocol(),
        root=site.root,
        out=data,
        scan=scan,
        settings=PrepareSettings(detector=detector),
        detector=detector,
        frames=None,
    )
    manifest = plan.run(jobs=jobs, progress=False).manifests[0]  # the boxes come from the cache
    write_findings(manifest, findings)
    return manifest


def _images(site: Site, data: Path, jobs: int | None, progress: bool) -> tuple[list[Sample], dict[str, str]]:
    """The images and the frames of the clips, with paths relative to ``data``; and path -> reason of broken clips."""
    way = os.path.relpath(site.root.resolve(), data.resolve())
    clips = [sample for sample in site.samples if _is_clip(sample)]
    images = [replace(s, path=Path(way, s.path).as_posix()) for s in site.samples if not _is_clip(s)]
    if not clips:
        return images, {}
    frames, videos = take_frames(FOLDER, Scan(site.root, {"": clips}), data, _FRAMES, jobs=jobs, progress=progress)
    return [*images, *frames.folds[""]], dict(unreadable_videos(videos))


def _is_clip(sample: Sample) -> bool:
    return sample.frame is None and PurePosixPath(sample.path).suffix.lower() in VIDEO_SUFFIXES


def _faces(
    samples: Sequence[Sample], data: Path, detector: str, jobs: int | None, progress: bool
) -> dict[str, tuple[str, str]]:
    """Path -> SHA-256 and error of each image. The boxes are stored in the box cache of ``data``."""
    base = data.resolve()
    wanted = {s.path: base / s.path for s in samples if s.box is None}
    data.mkdir(parents=True, exist_ok=True)
    found = find_boxes(
        list(wanted.values()), detector=detector, cache=data / "boxes.jsonl", jobs=jobs, progress=progress
    )
    files = {path: _digest(found[file]) for path, file in wanted.items()}
    read = {s.path: files[s.path] if s.path in files else _hashed(base / s.path, s) for s in samples}
    return {path: (sha256, why.replace(str(base / path), shown(path))) for path, (sha256, why) in read.items()}


def _digest(found: FoundBox) -> tuple[str, str]:
    return found.sha256, found.error or ""


def _hashed(path: Path, sample: Sample) -> tuple[str, str]:
    try:
        return sha256_file(path, MaxBytes.IMAGE), why_unusable(path, sample)
    except (OSError, ValueError) as error:
        return "", f"{path}: cannot be read ({reason(error)})"


def _detector(site: Site, detector: str, samples: Sequence[Sample]) -> list[Finding]:
    """A finding if the boxes are not YuNet's, on which the public networks were trained."""
    again = "'facepad data prepare --detector yunet' into a new folder finds them again"
    if site.detector is None and any(sample.box is not None for sample in samples):
        text = (
            "it is not known which detector found the faces of the manifest: the public networks were trained on faces "
            f"found by yunet, and make more errors on others; {again}"
        )
        return [Finding("note", text)]
    if detector == "yunet":
        return []
    if site.detector is not None:
        text = (
            f"{detector} found the faces of the manifest, but the public networks were trained on faces found by "
            f"yunet, and make more errors on others; {again}"
        )
        return [Finding("warning", text)]
    text = (
        "dlib finds the faces, because the file of YuNet is not on this machine, and misses turned and small faces; "
        "the public networks were trained on faces found by yunet; 'facepad download yunet' gets the file"
    )
    return [Finding("note", text)]


def _broken(broken: Mapping[str, str], files: int) -> list[Finding]:
    if not broken:
        return []
    count = f"{len(broken)} of {number_of(files, 'file')} cannot be read"
    evidence = tuple(list(broken.values())[:SHOWN])
    if len(broken) > _MOST_UNREADABLE * files:
        return [Finding("stop", f"{count} (first: {evidence[0]}): the copy is broken; copy the files again", evidence)]
    return [Finding("warning", f"{count} and {'is' if len(broken) == 1 else 'are'} left out", evidence)]


def _without_duplicates(samples: Sequence[Sample], digests: Mapping[str, str]) -> tuple[list[Sample], list[Finding]]:
    """The samples without exact duplicates inside a class, and the findings on duplicates."""
    groups: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[digests[sample.path]].append(sample)
    both = [group for group in groups.values() if len({s.label for s in group}) > 1]
    people = [group for group in groups.values() if len({s.subject for s in group}) > 1]
    dropped = [sample for group in groups.values() for sample in group[1:]]
    found = []
    if both:
        count = number_of(len(both), "file is", "files are")
        pairs = [_same(group, lambda sample: sample.label) for group in both[:SHOWN]]
        text = f"{count} in both classes (first: {pairs[0]}); delete the wrong copies"
        found.append(Finding("stop", text, tuple(pairs)))
    if people:
        text = f"{number_of(len(people), 'file is', 'files are')} in the folders of two people; only the first is used"
        pairs = [_same(group, lambda sample: sample.subject) for group in people[:SHOWN]]
        found.append(Finding("warning", text, tuple(pairs)))
    if dropped:
        text = f"{number_of(len(dropped), 'exact duplicate was', 'exact duplicates were')} left out"
        found.append(Finding("note", text, (first_names([shown(s.path) for s in dropped]),)))
    left_out = {(sample.path, sample.frame) for sample in dropped}
    return [sample for sample in samples if (sample.path, sample.frame) not in left_out], found


def _same(group: Sequence[Sample], key: Callable[[Sample], object]) -> str:
    """The first two equal files that differ in the key."""
    other = next(sample for sample in group if key(sample) != key(group[0]))
    return f"{shown(group[0].path)} = {shown(other.path)}"
