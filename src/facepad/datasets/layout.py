"""Data sets with a fixed layout: reading the facts that paths state, and comparing a copy with the published counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from facepad.datasets.adapter import Scan, refuse_one_class, require_folder
from facepad.datasets.existing_frames import possible_videos, videos_or_frames
from facepad.datasets.hdf5_frames import can_read_hdf5, is_hdf5
from facepad.datasets.splits import subjects_across_splits
from facepad.errors import DatasetError, number_of
from facepad.files.disk import walk_files
from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import AttackType, Label, Sample, Split

__all__ = [
    "Layout",
    "Stated",
    "count_notes",
    "find_file",
    "named",
    "read_layout",
    "shared_subject_notes",
    "sort_samples",
]


@dataclass(frozen=True, slots=True)
class Stated:
    """The facts that the path of a video or image states.

    Attributes:
        subject: The person whose face the file shows.
        attack_type: The attack instrument; None for bona fide.
        split: The split; None if the path names none.
        attributes: Further facts, such as the camera. They become attributes of the sample.
    """

    subject: str
    attack_type: AttackType | None
    split: Split | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a data set.

    Attributes:
        title: Name of the data set in messages.
        example: Path of one file, for messages.
        read: Function that returns the facts in a path, or None if the path is not that of a file of the data set. The
            path is relative to the user's folder and has no ending.
        published: (split, label, number of videos or images) of a complete copy. Split None means all splits, and label
            None means both classes.
        annotations: Endings of files that describe the videos. These files are not listed as skipped.
        images: Whether the data set consists of images. If not, it consists of videos.
        name_of: Function from the path of an image to its name in the data set, by which copies in several folders are
            recognised. None if names do not identify images. The names of videos always identify them.
        hdf5: Function from the path of an HDF5 file to whether it may hold the colour frames of a video. None if the
            data set is not released as HDF5.
    """

    title: str
    example: str
    read: Callable[[str], Stated | None]
    published: tuple[tuple[Split | None, Label | None, int], ...] = ()
    annotations: tuple[str, ...] = ()
    images: bool = False
    name_of: Callable[[str], str] | None = None
    hdf5: Callable[[str], bool] | None = None

    @property
    def noun(self) -> str:
        """Name of a file in messages."""
        return "image" if self.images else "video"


def named(pattern: str) -> re.Pattern[str]:
    """A pattern for the end of a path, in any case: the folders above the pattern may have any name.

    >>> bool(named(r"[1-6]_1_01_1").fullmatch("OULU/Train_files/6_1_01_1"))
    True
    """
    return re.compile(rf"(?:.*/)?(?:{pattern})", re.IGNORECASE | re.ASCII)


def read_layout(root: Path, layout: Layout) -> tuple[Scan, list[Sample]]:
    """Read the facts in the paths of all files below ``root``, whatever the folders above them are called.

    Frames of videos are read if the folder holds no whole videos, and HDF5 files if it holds neither. A file that lies
    in two folders is read once. Files of other data are skipped. A note compares each count with the published count.

    Returns:
        The scan without folds, and the samples, sorted by path. A sample of a whole video has neither ``video`` nor
        ``frame``.

    Raises:
        DatasetError: the folder holds no files of the data set, or files of one class only.
    """
    require_folder(root)
    scan = Scan(root, {})
    paths = _paths(root, scan)
    samples = []
    for path in paths:
        sample = _read(path, layout)
        if sample is not None:
            samples.append(sample)
        elif not path.lower().endswith(layout.annotations):
            scan.skipped.append((path, f"not {_article(layout.noun)} {layout.noun} of {layout.title}"))
    hdf5 = [] if samples or layout.hdf5 is None else list(filter(is_hdf5, paths))
    if hdf5 and can_read_hdf5():
        samples = [sample for path in filter(layout.hdf5, hdf5) if (sample := _sample(path, None, layout))]
    if not samples:
        raise DatasetError(_why_empty(root, layout, len(hdf5)))
    if not layout.images:
        samples = _without_copies(videos_or_frames(samples, scan), scan, layout)
    elif layout.name_of:
        samples = _without_copies(samples, scan, layout)
    refuse_one_class(samples, f"{layout.title} in {root}", f"{layout.noun}s")
    scan.notes.extend(_published_notes(samples, layout))
    return scan, samples


def _paths(root: Path, scan: Scan) -> list[str]:
    """The paths of all files below a folder, relative to the folder, with forward slashes, sorted.

    Folders that cannot be read are added to ``scan.skipped``.
    """
    above = f"{root.as_posix().rstrip('/')}/"
    return sorted(file.as_posix().removeprefix(above) for file in walk_files(root, broken=scan.skipped))


def _split_ending(path: str) -> tuple[str, str]:
    """A path without its ending, and the ending with its dot. This is faster than pathlib for a million files."""
    folder, slash, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    return (f"{folder}{slash}{stem}", dot + ending) if stem else (path, "")


def _read(path: str, layout: Layout) -> Sample | None:
    found = (_sample(path, frame, layout, place) for place, frame in _places(path, layout))
    return next(filter(None, found), None)


def _sample(path: str, frame: int | None, layout: Layout, place: str | None = None) -> Sample | None:
    """The sample of a file that may belong to a place: a video or image without its ending."""
    place = _split_ending(path)[0] if place is None else place
    stated = layout.read(place)
    if stated is None:
        return None
    return Sample(
        path=path,
        subject=stated.subject,
        label=Label.ATTACK if stated.attack_type else Label.BONA_FIDE,
        attack_type=stated.attack_type,
        split=stated.split,
        video=None if frame is None else place,
        frame=frame,
        attributes=tuple(stated.attributes.items()),
    )


def _places(path: str, layout: Layout) -> Iterator[tuple[str, int | None]]:
    """Each video or image that a file may belong to, without its ending, and the file's frame number in the video."""
    if layout.images:
        place, ending = _split_ending(path)
        if ending.lower() in IMAGE_SUFFIXES and not path.rpartition("/")[2].startswith("."):
            yield place, None
    else:
        yield from ((video.as_posix(), frame) for video, frame in possible_videos(PurePosixPath(path)))


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _why_empty(root: Path, layout: Layout, hdf5: int) -> str:
    if hdf5 and not can_read_hdf5():
        need = "needs" if hdf5 == 1 else "need"
        return (
            f"{root} holds {number_of(hdf5, 'HDF5 file')} of {layout.title}, which {need} h5py: "
            "pip install 'facepad[hdf5]'; or "
            f"convert each file to a folder of images with the name of the file, as in {layout.example}/0001.png"
        )
    return f"{root} holds no {layout.noun}s of {layout.title}, which are named like {layout.example}"


def _without_copies(samples: Iterable[Sample], scan: Scan, layout: Layout) -> list[Sample]:
    """The samples without a second copy of a video or image in another folder. Names are unique in a data set."""
    name_of = layout.name_of or (lambda video: video.rpartition("/")[2])
    places: dict[str, str] = {}
    kept = []
    for sample in samples:
        place = sample.video or (sample.path if layout.images else _split_ending(sample.path)[0])
        if places.setdefault(name_of(place).lower(), place) == place:
            kept.append(sample)
        else:
            scan.skipped.append((sample.path, f"the same {layout.noun} in a second folder"))
    return kept


def _published_notes(samples: Iterable[Sample], layout: Layout) -> Iterator[str]:
    files = {(s.video or s.path): (s.split, s.label) for s in samples}.values()
    for split, label, published in layout.published:
        where = "the copy" if split is None else split.value
        found = sum(split in (None, of_split) and label in (None, of_label) for of_split, of_label in files)
        yield from count_notes(where, label, found, published, layout.noun)


def count_notes(where: str, label: Label | None, found: int, published: int, noun: str = "video") -> Iterator[str]:
    """A note if a copy of a data set, or a part of it, does not have the published number of videos or images.

    >>> list(count_notes("train", Label.ATTACK, 7, 8)), list(count_notes("train", Label.ATTACK, 8, 8))
    (['train holds 7 attack videos, but the published set has 8'], [])
    """
    if found != published:
        kind = f"{label} " if label else ""
        yield f"{where} holds {number_of(found, kind + noun)}, but the published set has {published}"


def shared_subject_notes(samples: Iterable[Sample]) -> Iterator[str]:
    """A note if subjects are in more than one split, for protocols that do not promise disjoint subjects."""
    if shared := subjects_across_splits(samples):
        first, splits = next(iter(shared.items()))
        some = f"{number_of(len(shared), 'subject')} {'is' if len(shared) == 1 else 'are'}"
        yield f"{some} in more than one split (first: {first} in {' and '.join(splits)})"


def sort_samples(samples: Iterable[Sample]) -> list[Sample]:
    """The samples in the order of a manifest: by split, subject and path."""
    order = [*Split, None]
    return sorted(samples, key=lambda s: (order.index(s.split), s.subject, s.path))


def find_file(root: Path, name: str) -> Path | None:
    """The file of this name, in any case, in ``root`` or in a readable folder below it; None if there is none."""
    return next((file for file in sorted(walk_files(root, broken=[])) if file.name.lower() == name.lower()), None)
