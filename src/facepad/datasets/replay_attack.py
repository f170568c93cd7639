"""Replay-Attack (Idiap): 50 people, prints and screens before a webcam, in train, devel and test folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class, require_folder
from facepad.datasets.existing_frames import possible_videos, videos_or_frames
from facepad.datasets.layout import count_notes
from facepad.datasets.published import CITED, TLA, PublishedFigure, fusion_figures
from facepad.errors import DatasetError
from facepad.files.disk import walk_files
from facepad.files.opening import MaxBytes, read_bytes
from facepad.types import AttackType, Box, Label, Sample, Split

__all__ = ["REPLAY_ATTACK", "canonical_square"]

_REAL = re.compile(r"(?P<client>client\d{3})_session\d\d_webcam_authenticate_(adverse|controlled)_[12]", re.I)
_ATTACK = re.compile(
    r"attack_(?P<device>print|mobile|highdef)_(?P<client>client\d{3})_session\d\d_(highdef|mobile)_"
    r"(?P<kind>photo|video)_(adverse|controlled)",
    re.IGNORECASE,
)
_FACES = "face-locations"


@dataclass(frozen=True, slots=True)
class _Part:
    folder: str
    split: Split
    published: Mapping[Label, int]


_PARTS = tuple(
    _Part(folder, split, {Label.BONA_FIDE: real, Label.ATTACK: attack})
    for folder, split, real, attack in (
        ("train", Split.TRAIN, 60, 300),
        ("devel", Split.DEV, 60, 300),
        ("test", Split.TEST, 80, 400),
    )
)

# Published protocol -> function that says whether the protocol has attacks of this device and kind.
_PROTOCOLS: Mapping[str, Callable[[str, str], bool]] = {
    "grandtest": lambda device, kind: True,
    "print": lambda device, kind: device == "print",
    "mobile": lambda device, kind: device == "mobile",
    "highdef": lambda device, kind: device == "highdef",
    "digitalphoto": lambda device, kind: device != "print" and kind == "photo",
    "photo": lambda device, kind: kind == "photo",
    "video": lambda device, kind: kind == "video",
}

# The data set contains face rectangles from a detector (Torch3vision's MCT). The model of this detector is 19 pixels
# wide, with the pupils 10 pixels apart and 5 pixels below the top. The side of the canonical square is 2.35 times the
# distance between the pupils. The centre of the square lies 0.51 times this distance below the pupils. Both numbers are
# medians of dlib's squares and YuNet's eyes on 48 bona fide images of NUAA.
_PUPILS, _EYES_BELOW_TOP = 10 / 19, 5 / 19
_SIDE, _CENTER_BELOW_EYES = 2.35, 0.51


def canonical_square(x: float, y: float, width: float, height: float) -> Box:
    """The canonical face square for a face rectangle of the data set.

    The square is 1.24 times as wide as the rectangle, and a little lower in the image.

    >>> [round(value, 1) for value in canonical_square(100, 60, 100, 100).xyxy]
    [88.2, 51.3, 211.8, 175.0]
    """
    # The rectangles are squares that are cut off at the edge of the image. The longer side is not cut.
    scale = max(width, height)
    center_x, center_y = x + width / 2, y + (_EYES_BELOW_TOP + _CENTER_BELOW_EYES * _PUPILS) * scale
    half = _SIDE * _PUPILS * scale / 2
    return Box(center_x - half, center_y - half, center_x + half, center_y + half)


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del seed  # the protocols are not random
    scan = Scan(root, {})
    found = [s for part, folder in _locate(root) for s in _read_part(root, part, folder, scan)]
    samples = videos_or_frames(found, scan)
    if not samples:
        raise DatasetError(f"{root} holds no videos of Replay-Attack, named like client001_session01_webcam_..._1.mov")
    _note_counts(samples, scan)
    keep = _PROTOCOLS[protocol]
    samples = [sample for sample in samples if sample.label is Label.BONA_FIDE or keep(*_device_and_kind(sample))]
    refuse_one_class(samples, f"Replay-Attack in {root}", "videos")
    scan.folds[""] = samples
    if scan.of_frames:
        scan.notes.append("all faces are searched by the detector: the data set annotates faces of whole videos only")
    elif _faces_folder(root) is None:
        scan.notes.append(f"no folder {_FACES}: all faces are searched by the detector")
    return scan


def _locate(root: Path) -> list[tuple[_Part, Path]]:
    """The folders train, devel and test: in ``root``, or in folders of ``root``, as in the archives."""
    require_folder(root)
    # The archive of face locations also has folders named train, devel and test, but without videos.
    folders = [root, *(f for f in sorted(root.iterdir()) if f.is_dir() and _FACES not in f.name.lower())]
    whole = [f for f in folders if all((f / part.folder / "real").is_dir() for part in _PARTS)]
    places = [
        (part, next((f / part.folder for f in whole or folders if (f / part.folder / "real").is_dir()), None))
        for part in _PARTS
    ]
    found = [(part, place) for part, place in places if place is not None]
    if missing := [part.folder for part, place in places if place is None]:
        there = ", ".join(str(place) for _, place in found)
        raise DatasetError(
            f"{root} is not Replay-Attack: expected the folders train, devel and test, each with real and attack, "
            f"in this folder or in subfolders; missing: {', '.join(missing)}{f' (found: {there})' if there else ''}"
        )
    return found


def _read_part(root: Path, part: _Part, folder: Path, scan: Scan) -> list[Sample]:
    """Videos and frames of one part."""
    samples: list[Sample] = []
    for file in sorted(walk_files(folder)):
        path = PurePosixPath(file.relative_to(root).as_posix())
        for video, frame in possible_videos(PurePosixPath(file.relative_to(folder).as_posix())):
            match = _match(video)
            if match is not None:
                whole = (PurePosixPath(folder.relative_to(root).as_posix()) / video).as_posix()
                samples.append(_sample(path.as_posix(), match, part, None if frame is None else whole, frame))
                break
        else:
            scan.skipped.append((path.as_posix(), "not a video name of Replay-Attack"))
    return samples


def _match(video: PurePosixPath) -> re.Match[str] | None:
    """The parts of a video's name, if the video lies in the folder for its class; None for other files.

    The path ``video`` is relative to the part's folder and has no suffix.
    """
    if video.parts[:-1] == ("real",):
        return _REAL.fullmatch(video.name)
    if video.parts[:-1] in (("attack",), ("attack", "fixed"), ("attack", "hand")):
        return _ATTACK.fullmatch(video.name)
    return None


def _sample(path: str, match: re.Match[str], part: _Part, video: str | None, frame: int | None) -> Sample:
    label, attack_type = Label.BONA_FIDE, None
    if match.re is _ATTACK:
        label, attack_type = Label.ATTACK, _instrument(match["device"].lower(), match["kind"].lower())
    return Sample(path, match["client"].lower(), label, attack_type, part.split, video, frame)


def _device_and_kind(sample: Sample) -> tuple[str, str]:
    """Device and kind of an attack, from the video's name."""
    match = _ATTACK.fullmatch(PurePosixPath(sample.video or sample.path).with_suffix("").name)
    assert match is not None  # `_read_part` accepts only names that match
    return match["device"].lower(), match["kind"].lower()


def _note_counts(samples: Sequence[Sample], scan: Scan) -> None:
    counts = Counter((split, label) for _, split, label in {(s.video or s.path, s.split, s.label) for s in samples})
    for part in _PARTS:
        for label, published in part.published.items():
            scan.notes.extend(count_notes(part.folder, label, counts[part.split, label], published))


def _instrument(device: str, kind: str) -> AttackType:
    if device == "print":
        return AttackType.PRINT
    return AttackType.REPLAY_PHOTO if kind == "photo" else AttackType.REPLAY_VIDEO


def _faces_folder(root: Path) -> Path | None:
    """The folder of the face locations. They are a separate archive, in the set's folder or in the same parent."""
    folders = (root, *sorted(child for child in root.iterdir() if child.is_dir()), root.parent)
    places = [*(folder / _FACES for folder in folders), *root.parent.glob(f"*{_FACES}*/{_FACES}")]
    return next((place for place in places if place.is_dir()), None)


def _video_boxes(root: Path, sample: Sample) -> dict[int, Box]:
    """Frame index -> canonical square, from the video's .face file; empty if the file does not exist.

    Raises:
        DatasetError: a line of the file is not ``frame x y width height``.
    """
    folder = _faces_folder(root)
    if folder is None:
        return {}
    parts = PurePosixPath(sample.path).parts
    start = max(place for place in range(len(parts) - 2) if parts[place + 1] in ("real", "attack"))
    path = folder.joinpath(*parts[start:]).with_suffix(".face")
    try:
        lines = read_bytes(path, MaxBytes.TEXT).decode("ascii").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read face file {path}: {error}") from error
    boxes: dict[int, Box] = {}
    for number, line in enumerate(lines, start=1):
        try:
            frame, x, y, width, height = (int(float(text)) for text in line.split()) if line.strip() else (0,) * 5
        except (ValueError, OverflowError) as error:
            raise DatasetError(f"{path}:{number}: expected 'frame x y width height', got {line!r}") from error
        if width > 0 and height > 0:  # zeros mean that the data set's detector found no face
            boxes[frame] = canonical_square(x, y, width, height)
    return boxes


_PUBLISHED = (
    PublishedFigure("FASNet (VGG-16)", TLA, "Replay-Attack", CITED, accuracy=0.9904, hter=0.012),
    *fusion_figures(
        "Replay-Attack",
        {"AttentionFusion": 0.0194, "Yang et al.": 0.0214, "DPCNN": 0.029, "Fine-tuned VGG-Face": 0.084},
    ),
)

REPLAY_ATTACK = Adapter(
    name="replay-attack",
    title="Replay-Attack (Idiap)",
    licence="research use only, on request from Idiap; not redistributable",
    citation=(
        "I. Chingovska, A. Anjos, S. Marcel: On the Effectiveness of Local Binary Patterns in Face Anti-spoofing. "
        "BIOSIG 2012"
    ),
    protocols=(
        ProtocolInfo("grandtest", "all attacks; the train, devel and test folders of the data set", True),
        ProtocolInfo("print", "attacks with printed photos", True),
        ProtocolInfo("mobile", "attacks with a phone", True),
        ProtocolInfo("highdef", "attacks with a tablet", True),
        ProtocolInfo("digitalphoto", "attacks with photos on a screen", True),
        ProtocolInfo("photo", "attacks with photos, printed or on a screen", True),
        ProtocolInfo("video", "attacks with videos on a screen", True),
    ),
    scan=_scan,
    videos=True,
    video_boxes=_video_boxes,
    published=_PUBLISHED,
)
"""The adapter of Replay-Attack."""
