"""Replay-Attack (Idiap): 50 people, prints and screens before a webcam; its own train, devel and test folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan, refuse_one_class, require_folder
from facepad.errors import DatasetError
from facepad.types import AttackType, Box, Label, Sample, Split

__all__ = ["REPLAY_ATTACK", "canonical_square"]

_REAL = re.compile(r"(?P<client>client\d{3})_session\d\d_webcam_authenticate_(adverse|controlled)_[12]\.mov", re.I)
_ATTACK = re.compile(
    r"attack_(?P<device>print|mobile|highdef)_(?P<client>client\d{3})_session\d\d_(highdef|mobile)_"
    r"(?P<kind>photo|video)_(adverse|controlled)\.mov",
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

# Which attacks, by device and kind, each published protocol keeps.
_PROTOCOLS: Mapping[str, Callable[[str, str], bool]] = {
    "grandtest": lambda device, kind: True,
    "print": lambda device, kind: device == "print",
    "mobile": lambda device, kind: device == "mobile",
    "highdef": lambda device, kind: device == "highdef",
    "digitalphoto": lambda device, kind: device != "print" and kind == "photo",
    "photo": lambda device, kind: kind == "photo",
    "video": lambda device, kind: kind == "video",
}

# The shipped rectangles are those of a detector whose model is 19 pixels wide, with the pupils 10 pixels apart and 5
# below its top (Torch3vision's MCT model). The canonical square has 2.35 distances between the pupils as its side and
# its centre 0.51 of them below (medians of dlib's squares against YuNet's eyes on 48 bona fide images of NUAA).
_PUPILS, _EYES_BELOW_TOP = 10 / 19, 5 / 19
_SIDE, _CENTER_BELOW_EYES = 2.35, 0.51


def canonical_square(x: float, y: float, width: float, height: float) -> Box:
    """The canonical face square of a shipped rectangle: of its width 1.24, and a little lower.

    >>> [round(value, 1) for value in canonical_square(100, 60, 100, 100).xyxy]
    [88.2, 51.3, 211.8, 175.0]
    """
    # The rectangles are square but for cutting at the image's edge, so that the longer side is the whole one.
    scale = max(width, height)
    center_x, center_y = x + width / 2, y + (_EYES_BELOW_TOP + _CENTER_BELOW_EYES * _PUPILS) * scale
    half = _SIDE * _PUPILS * scale / 2
    return Box(center_x - half, center_y - half, center_x + half, center_y + half)


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    del seed  # nothing here is random
    root = _locate(root)
    scan = Scan(root, {})
    samples: list[Sample] = []
    for part in _PARTS:
        samples += _read_part(root, part, _PROTOCOLS[protocol], scan)
    if not samples:
        raise DatasetError(f"{root} holds no videos of Replay-Attack, named like client001_session01_webcam_..._1.mov")
    refuse_one_class(samples, f"Replay-Attack in {root}", "videos")
    if _faces_folder(root) is None:
        scan.notes.append(f"no folder {_FACES}: all faces are searched by the detector")
    scan.folds[""] = samples
    return scan


def _locate(root: Path) -> Path:
    """The folder with train, devel and test: ``root`` itself or one right below it."""
    require_folder(root)
    for folder in (root, *sorted(child for child in root.iterdir() if child.is_dir())):
        # The face locations have the same three folders, but no videos.
        if folder.name != _FACES and all((folder / part.folder / "real").is_dir() for part in _PARTS):
            return folder
    raise DatasetError(
        f"{root} is not Replay-Attack: expected the folders train, devel and test, each with real and attack, "
        "in it or in a folder of it"
    )


def _read_part(root: Path, part: _Part, wanted: Callable[[str, str], bool], scan: Scan) -> list[Sample]:
    samples: list[Sample] = []
    counts: Counter[Label] = Counter()
    for file in sorted((root / part.folder).rglob("*")):
        path = file.relative_to(root)
        if not file.is_file():
            continue
        match = (_REAL if path.parts[1:-1] == ("real",) else _ATTACK).fullmatch(file.name)
        if match is None or path.parts[1:-1] not in (("real",), ("attack", "fixed"), ("attack", "hand")):
            scan.skipped.append((path.as_posix(), "not a video name of Replay-Attack"))
            continue
        device, kind = (match["device"].lower(), match["kind"].lower()) if match.re is _ATTACK else ("", "")
        label = Label.ATTACK if device else Label.BONA_FIDE
        counts[label] += 1
        if not device or wanted(device, kind):
            attack_type = _instrument(device, kind) if device else None
            samples.append(Sample(path.as_posix(), match["client"].lower(), label, attack_type, part.split))
    for label, published in part.published.items():
        if counts[label] != published:
            scan.notes.append(f"{part.folder} holds {counts[label]} {label} videos, the published set {published}")
    return samples


def _instrument(device: str, kind: str) -> AttackType:
    if device == "print":
        return AttackType.PRINT
    return AttackType.REPLAY_PHOTO if kind == "photo" else AttackType.REPLAY_VIDEO


def _faces_folder(root: Path) -> Path | None:
    """The shipped face locations, which come as an archive of their own: in the set's folder or beside it."""
    return next((folder for folder in (root / _FACES, root.parent / _FACES) if folder.is_dir()), None)


def _video_boxes(root: Path, sample: Sample) -> dict[int, Box]:
    """Frame index -> canonical square, from the video's .face file; nothing where there is none.

    Raises:
        DatasetError: a line that is not ``frame x y width height``.
    """
    folder = _faces_folder(root)
    if folder is None:
        return {}
    path = (folder / sample.path).with_suffix(".face")
    try:
        lines = path.read_text(encoding="ascii").splitlines()
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
        if width > 0 and height > 0:  # zeros: the set's detector found no face
            boxes[frame] = canonical_square(x, y, width, height)
    return boxes


REPLAY_ATTACK = Adapter(
    name="replay-attack",
    title="Replay-Attack (Idiap)",
    licence="research use only, on request from Idiap; not redistributable",
    citation=(
        "I. Chingovska, A. Anjos, S. Marcel: On the Effectiveness of Local Binary Patterns in Face Anti-spoofing. "
        "BIOSIG 2012"
    ),
    protocols=(
        ProtocolInfo("grandtest", "all attacks; the set's own train, devel and test", True),
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
)
