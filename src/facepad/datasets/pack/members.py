"""Members of a shard: making an image and a label from a manifest line, writing both to a tar, and reading them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import resolve
from facepad.datasets.pack.crop import cut_out, encoded
from facepad.datasets.pack.inventory import PackSettings
from facepad.errors import ImageError, VideoError
from facepad.faces import require_fit
from facepad.files.shards import SHARD_SUFFIX, read_members
from facepad.media.images import read_image
from facepad.media.videos import read_video
from facepad.types import VIDEO_SUFFIXES, AttackType, Box, Label, Sample, Split

__all__ = [
    "Line",
    "Member",
    "add_member",
    "is_video",
    "make_members",
    "read_together",
    "samples_of_shard",
    "shard_name",
    "source_name",
]

_JPEG_SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Line:
    """A sample of the source manifest with the sample's number (from 0). The number is part of the member's name."""

    number: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class Member:
    """The packed sample of a line and the bytes of the image, or the reason why the image cannot be read."""

    line: Line
    sample: Sample | None = None
    content: bytes = b""
    error: str = ""


def shard_name(number: int, settings: PackSettings) -> str:
    """The name of the shard that contains the line with this number."""
    return f"shard-{number // settings.per_shard:05d}{SHARD_SUFFIX}"


def is_video(sample: Sample) -> bool:
    """Whether a sample is a frame of a video file, not an image file."""
    return PurePosixPath(sample.path).suffix.lower() in VIDEO_SUFFIXES


def source_name(sample: Sample) -> str:
    """The name of a source: ``PATH`` for an image, ``PATH#FRAME`` for a frame of a video."""
    return f"{sample.path}#{sample.frame}" if is_video(sample) else sample.path


def read_together(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Groups of lines. Consecutive frames of one video form a group, because they are read together."""
    for _, group in groupby(lines, key=lambda line: line.sample.path if is_video(line.sample) else line.number):
        yield list(group)


def make_members(lines: Sequence[Line], manifest: Path, settings: PackSettings) -> list[Member]:
    """Read, crop and encode the images of one group of `read_together`."""
    if is_video(lines[0].sample):
        return _of_frames(lines, manifest, settings)
    return [_of_image(line, manifest, settings) for line in lines]


def _of_image(line: Line, manifest: Path, settings: PackSettings) -> Member:
    path = resolve(manifest, line.sample)
    try:
        return _packed(line, read_image(path), path, settings)
    except ImageError as error:
        return Member(line, error=str(error))


def _of_frames(lines: Sequence[Line], manifest: Path, settings: PackSettings) -> list[Member]:
    """Members for frames of one video, in the order of the lines. A frame that cannot be decoded has an error."""
    path = resolve(manifest, lines[0].sample)
    wanted = {line.sample.frame: line for line in lines}
    last = max(line.sample.frame or 0 for line in lines)
    found: dict[int, Member] = {}
    reason = "the video has no such frame, or the frame cannot be decoded"
    try:
        for frame in read_video(path, threads=1):
            if frame.index in wanted:
                found[frame.index] = _packed(wanted[frame.index], frame.image, path, settings)
            if frame.index >= last:
                break
    except VideoError as error:
        reason = error.reason
    return [
        found.get(line.sample.frame or 0, Member(line, error=f"{path}, frame {line.sample.frame}: {reason}"))
        for line in lines
    ]


def _packed(line: Line, image: NDArray[np.uint8], source: Path, settings: PackSettings) -> Member:
    """The member of a line. A box that does not fit its image gives a member with an error."""
    sample = line.sample
    try:
        require_fit(source, sample, (image.shape[0], image.shape[1]))
    except ImageError as error:
        return Member(line, error=str(error))
    pixels, box = cut_out(image, sample.box, crop=settings.crop, size=settings.size)
    path = f"{shard_name(line.number, settings)}/{_member_name(line, settings)}"
    video = sample.video or (sample.path if is_video(sample) else None)
    packed = replace(sample, path=path, box=_rounded(box), video=video)
    return Member(line, packed, encoded(pixels, settings.format, settings.quality))


def _member_name(line: Line, settings: PackSettings) -> str:
    """The member's name ``NUMBER/NAME.jpg``.

    The number makes the name unique. The image's own name is kept, because it seeds the image's augmentation.
    """
    path, stem = PurePosixPath(line.sample.path), line.sample.stem
    if is_video(line.sample):
        stem = f"{stem}-{line.sample.frame:06d}"
    suffix = ".png" if settings.format == "png" else path.suffix if path.suffix.lower() in _JPEG_SUFFIXES else ".jpg"
    return f"{line.number:06d}/{stem}{suffix}"


def _rounded(box: Box | None) -> Box | None:
    """The box with two decimals, as in a manifest. The boxes in shards and in the manifest are then equal."""
    # Adding 0.0 turns -0.0 into 0.0.
    return None if box is None else Box(*(round(value, 2) + 0.0 for value in box.xyxy))


def add_member(archive: tarfile.TarFile, member: Member) -> None:
    """Add an image as NAME.jpg (or NAME.png), and the image's label as NAME.json."""
    sample, source = member.sample, member.line.sample
    assert sample is not None
    name = PurePosixPath(sample.path.partition("/")[2])
    label = {
        "line": member.line.number,
        "image": name.name,
        "source": source_name(source),
        "subject": sample.subject,
        "label": sample.label,
        "attack_type": sample.attack_type,
        "split": sample.split,
        "video": sample.video,
        "frame": sample.frame,
        "box": sample.box and sample.box.xyxy,
    }
    if sample.attributes:
        label["attributes"] = dict(sample.attributes)
    text = json.dumps(label, ensure_ascii=False).encode()
    for file, content in ((name, member.content), (name.with_suffix(".json"), text)):
        header = tarfile.TarInfo(file.as_posix())  # zero owner, group and time: equal bytes in each run
        header.size = len(content)
        archive.addfile(header, io.BytesIO(content))


def samples_of_shard(shard: Path) -> Iterator[tuple[int, Sample]]:
    """Line number and packed sample of each image in a shard, from the labels in the shard.

    Raises:
        OSError, ValueError, KeyError, TypeError: the shard is damaged, or was not written by facepad.
    """
    for name, text in read_members(shard, ".json").items():
        label = json.loads(text)
        path = PurePosixPath(shard.name, name).with_name(label["image"])
        yield label["line"], _sample(path.as_posix(), label)


def _sample(path: str, label: Mapping[str, Any]) -> Sample:
    return Sample(
        path=path,
        subject=label["subject"],
        label=Label(label["label"]),
        attack_type=label["attack_type"] and AttackType(label["attack_type"]),
        split=label["split"] and Split(label["split"]),
        video=label["video"],
        frame=label["frame"],
        box=label["box"] and Box(*label["box"]),
        attributes=tuple(label.get("attributes", {}).items()),
    )
