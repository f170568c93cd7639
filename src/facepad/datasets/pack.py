"""Packing a data set: what its networks look at of each image, with its label, as tar shards in WebDataset's layout."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from typing import Any

from facepad.datasets.manifest import manifest_hash, manifest_text, read_manifest, resolve
from facepad.datasets.origin import copy_origin
from facepad.datasets.pack_crop import cut_out, encoded
from facepad.datasets.packed import RECORD, PackSettings, read_record, refuse_narrow_crops
from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.errors import ImageError, InputError, OutputExistsError, RunError, VideoError
from facepad.files.disk import atomic_path, claim_output, sha256_file, write_text, writing
from facepad.files.shards import SHARD_SUFFIX, file_stamp, read_members
from facepad.media.images import read_image
from facepad.media.videos import read_video
from facepad.runtime.parallel import available_cpus, map_ahead
from facepad.runtime.progress import progress_bar
from facepad.types import VIDEO_SUFFIXES, AttackType, Box, Label, Sample, Split

__all__ = ["PackSummary", "pack"]

_FORMAT = 1
_LOCK = "pack.lock"
_JPEG_SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What :func:`pack` did.

    Attributes:
        manifest: The packed set's own manifest.
        pairs: Each sample as the source's manifest has it, and as the packed one has it.
        shards: How many shards there are.
        packed: How many of them this run wrote.
        changed: Shards that an earlier run wrote and something has changed since; this run wrote them again.
        bytes: Of all shards.
        unreadable: Path to reason, of images that could not be read and are left out.
    """

    manifest: Path
    pairs: list[tuple[Sample, Sample]]
    shards: int
    packed: int
    changed: list[str]
    bytes: int
    unreadable: dict[str, str]

    def to_text(self) -> str:
        """A few lines for the terminal."""
        lines = [f"it or its images changed since it was packed, packed again: {name}" for name in self.changed]
        lines += [f"unreadable, left out: {why}" for why in self.unreadable.values()]
        there = f" ({self.shards - self.packed} were there)" if self.packed < self.shards else ""
        each = self.bytes / max(len(self.pairs), 1) / 1000
        lines.append(
            f"{len(self.pairs)} images in {self.shards} shards{there}, {self.bytes / 1e6:.1f} MB, {each:.1f} kB each"
        )
        return "\n".join([*lines, f"manifest: {self.manifest}"])


@dataclass(frozen=True, slots=True)
class _Line:
    """A sample of the source and its number, which names its member."""

    number: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line as it goes into a shard: the packed sample and its image file, or why there is none."""

    line: _Line
    sample: Sample | None = None
    content: bytes = b""
    error: str = ""


def pack(
    manifest: Path,
    out: Path,
    settings: PackSettings | None = None,
    *,
    jobs: int | None = None,
    progress: bool = True,
) -> PackSummary:
    """Write a manifest's images, cut to what networks look at, with their labels to shards in ``out``.

    ``out`` gets ``shard-00000.tar`` and so on, ``manifest.csv``, whose paths name members of the shards and whose boxes
    are where the faces are in them, ``pack.json`` with settings and checksums, and, where the source has one,
    ``prepare.json``. A member is ``NUMBER/NAME.jpg`` (or ``.png``) beside ``NUMBER/NAME.json``, its line of the
    manifest. The same images and settings give the same shards (with the same Pillow and OpenCV). Shards appear whole,
    and the manifest last; a second run packs the shards that are missing, lack images, or whose own or whose sources'
    bytes have changed since. Images without a face square
    are kept as whole frames; frames of videos become images; what cannot be read is left out and listed.

    Args:
        manifest: The source; what it names by path and frame of a video is taken out of the video.
        out: A new or empty folder, or one that a run on the same manifest with the same settings has begun.
        settings: What is kept of an image, and how.
        jobs: Threads that decode, cut and encode; None takes one per processor.
        progress: Show a progress bar on stderr.

    Raises:
        ManifestError: the manifest is missing or breaks its contract.
        InputError: jobs below 1, a video that is named without a frame, or a source that is itself a narrower pack.
        OutputExistsError: ``out`` holds something else, or a pack of another manifest or with other settings.
        DatasetError: more than 5 % of the images are unreadable.
        RunError: the disk is full, or another run fills ``out``.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}")
    manifest, out, settings = Path(manifest), Path(out), settings or PackSettings()
    samples = read_manifest(manifest)
    _refuse_whole_videos(samples)
    refuse_narrow_crops(manifest.parent, samples, settings.crop)
    record = _open_output(out, manifest, settings)
    lines = [_Line(number, sample) for number, sample in enumerate(samples)]
    plan = {
        f"shard-{first // settings.per_shard:05d}{SHARD_SUFFIX}": lines[first : first + settings.per_shard]
        for first in range(0, len(lines), settings.per_shard)
    }
    with _only_run(out), progress_bar("packing", len(samples), shown=progress) as advance:
        sources = {name: _stamp(manifest, part) for name, part in plan.items()}
        changed = _forget_changed(out, record, sources)
        missing = {name: part for name, part in plan.items() if name not in record["shards"]}
        for name in plan.keys() - missing.keys():
            for _ in plan[name]:
                advance()
        write = partial(_write_shards, out, record, manifest, missing, sources)
        write(settings, jobs or available_cpus(), len(samples), advance)
        pairs = _pairs(out, plan)
        _write_manifest(out, record, manifest, [packed for _, packed in pairs])
    unreadable = {path: why for name in plan for path, why in record["shards"][name]["unreadable"]}
    total = sum((out / name).stat().st_size for name in plan)
    return PackSummary(out / "manifest.csv", pairs, len(plan), len(missing), changed, total, unreadable)


def _refuse_whole_videos(samples: Sequence[Sample]) -> None:
    for sample in samples:
        if _is_video(sample) and sample.frame is None:
            raise InputError(
                f"{sample.path} is a video, and the manifest names no frame of it; "
                "facepad data prepare video-folder takes frames"
            )


def _is_video(sample: Sample) -> bool:
    return PurePosixPath(sample.path).suffix.lower() in VIDEO_SUFFIXES


def _open_output(out: Path, manifest: Path, settings: PackSettings) -> dict[str, Any]:
    """The record of ``out``: a new one, or that of an earlier run of the same kind."""
    fresh: dict[str, Any] = {
        "format": _FORMAT,
        "source": {"manifest": manifest.name, "sha256": manifest_hash(manifest)},
        "settings": settings.to_dict(),
        "shards": {},
    }
    found = read_record(out)
    if found is None:
        claim_output(out)
        _write_record(out, fresh)
        return fresh
    if found["source"]["sha256"] != fresh["source"]["sha256"]:
        raise OutputExistsError(f"{out} holds the pack of another manifest; choose another output folder")
    for name, value in settings.to_dict().items():
        if found["settings"].get(name) != value:
            raise OutputExistsError(
                f"{out} was packed with {name} = {found['settings'].get(name)}, not {value}; "
                "choose another output folder"
            )
    return found


def _write_record(out: Path, record: Mapping[str, Any]) -> None:
    write_text(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def _only_run(out: Path) -> Iterator[None]:
    """Hold ``out`` against other runs, as far as the system can, and clear away what a killed one left."""
    with ExitStack() as held:
        try:
            import fcntl
        except ImportError:  # Windows: two runs at once then write the same bytes twice
            yield
            return
        with writing(out):
            stream = held.enter_context((out / _LOCK).open("a"))  # for writing, as network file systems ask for it
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another run is packing into {out}; wait for it to end") from error
        except OSError:  # a file system without locks: as on Windows
            pass
        for left in out.glob(f".shard-*{SHARD_SUFFIX}"):
            left.unlink()
        yield


def _stamp(manifest: Path, lines: Sequence[_Line]) -> str:
    """A hash of length and time of change of a shard's sources: whether they are still what was packed."""
    stamps: list[Any] = []
    for line in lines:
        try:
            stamps.append(file_stamp(resolve(manifest, line.sample)))
        except (OSError, ValueError):
            stamps.append(None)
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()


def _forget_changed(out: Path, record: dict[str, Any], sources: Mapping[str, str]) -> list[str]:
    """Take out of the record what is gone, lacks images or has changed; the names of those that have changed."""
    changed = []
    for name, shard in list(record["shards"].items()):
        path = out / name
        same = path.is_file() and sha256_file(path) == shard["sha256"] and shard.get("sources") == sources.get(name)
        if same and not shard["unreadable"]:
            continue
        if path.exists() and not same:
            changed.append(name)
        del record["shards"][name]
    return changed


def _write_shards(
    out: Path,
    record: dict[str, Any],
    manifest: Path,
    missing: Mapping[str, Sequence[_Line]],
    sources: Mapping[str, str],
    settings: PackSettings,
    jobs: int,
    total: int,
    advance: Callable[[], None],
) -> None:
    """Make shards one after the other, their images ahead by threads, and write each down as soon as it is there."""
    work = (group for lines in missing.values() for group in _groups(lines))
    done = map_ahead(lambda group: _pack_group(group, manifest, settings), work, ahead=4 * jobs, threads=jobs)
    entries = (entry for group in done for entry in group)
    unreadable = {path: why for shard in record["shards"].values() for path, why in shard["unreadable"]}
    for name, lines in missing.items():
        failed: dict[str, str] = {}
        with atomic_path(out / name) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
            for entry in islice(entries, len(lines)):
                if entry.sample is None:
                    failed[_name(entry.line.sample)] = entry.error
                    refuse_mostly_unreadable(unreadable | failed, total, f"images of {manifest}")
                else:
                    _add(archive, entry)
                advance()
        unreadable |= failed
        record["shards"][name] = {
            "sha256": sha256_file(out / name),
            "sources": sources[name],
            "images": len(lines) - len(failed),
            "unreadable": list(failed.items()),
        }
        record["shards"] = dict(sorted(record["shards"].items()))
        _write_record(out, record)


def _groups(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """Lines that are read together: frames of one video that follow each other; else one by one."""
    for _, group in groupby(lines, key=lambda line: line.sample.path if _is_video(line.sample) else line.number):
        yield list(group)


def _name(sample: Sample) -> str:
    return f"{sample.path}#{sample.frame}" if _is_video(sample) else sample.path


def _pack_group(lines: Sequence[_Line], manifest: Path, settings: PackSettings) -> list[_Entry]:
    if _is_video(lines[0].sample):
        return _pack_frames(lines, manifest, settings)
    return [_pack_image(line, manifest, settings) for line in lines]


def _pack_image(line: _Line, manifest: Path, settings: PackSettings) -> _Entry:
    try:
        return _entry(line, read_image(resolve(manifest, line.sample)), settings)
    except ImageError as error:
        return _Entry(line, error=str(error))


def _pack_frames(lines: Sequence[_Line], manifest: Path, settings: PackSettings) -> list[_Entry]:
    """Frames of one video, in the order of the lines; those that do not come with the reason."""
    path = resolve(manifest, lines[0].sample)
    wanted = {line.sample.frame: line for line in lines}
    last = max(line.sample.frame or 0 for line in lines)
    found: dict[int, _Entry] = {}
    reason = "it has no such frame, or none that can be decoded"
    try:
        for frame in read_video(path, threads=1):
            if frame.index in wanted:
                found[frame.index] = _entry(wanted[frame.index], frame.image, settings)
            if frame.index >= last:
                break
    except VideoError as error:
        reason = str(error).removeprefix(f"{path}: ")
    return [
        found.get(line.sample.frame or 0, _Entry(line, error=f"{path}, frame {line.sample.frame}: {reason}"))
        for line in lines
    ]


def _entry(line: _Line, image: Any, settings: PackSettings) -> _Entry:
    sample = line.sample
    pixels, box = cut_out(image, sample.box, crop=settings.crop, size=settings.size)
    shard = f"shard-{line.number // settings.per_shard:05d}{SHARD_SUFFIX}"
    video = sample.video or (sample.path if _is_video(sample) else None)
    packed = replace(sample, path=f"{shard}/{_member(line, settings)}", box=_as_written(box), video=video)
    return _Entry(line, packed, encoded(pixels, settings.format, settings.quality))


def _member(line: _Line, settings: PackSettings) -> str:
    """``NUMBER/NAME.jpg``: unlike each other, and with the name that the image had, which augmentation goes by."""
    path, stem = PurePosixPath(line.sample.path), line.sample.stem
    if _is_video(line.sample):
        stem = f"{stem}-{line.sample.frame:06d}"
    suffix = ".png" if settings.format == "png" else path.suffix if path.suffix.lower() in _JPEG_SUFFIXES else ".jpg"
    return f"{line.number:06d}/{stem}{suffix}"


def _as_written(box: Box | None) -> Box | None:
    """The box with the two decimals that a manifest keeps, so that labels in shards and manifest are the same."""
    return None if box is None else Box(*(round(value, 2) + 0.0 for value in box.xyxy))


def _add(archive: tarfile.TarFile, entry: _Entry) -> None:
    """An image and its label, under names that differ in their endings alone."""
    sample, source = entry.sample, entry.line.sample
    assert sample is not None
    name = PurePosixPath(sample.path.partition("/")[2])
    label = {
        "line": entry.line.number,
        "image": name.name,
        "source": _name(source),
        "subject": sample.subject,
        "label": sample.label,
        "attack_type": sample.attack_type,
        "split": sample.split,
        "video": sample.video,
        "frame": sample.frame,
        "box": sample.box and sample.box.xyxy,
    }
    text = json.dumps(label, ensure_ascii=False).encode()
    for member, content in ((name, entry.content), (name.with_suffix(".json"), text)):
        header = tarfile.TarInfo(member.as_posix())  # owner, group and time of all are zero
        header.size = len(content)
        archive.addfile(header, io.BytesIO(content))


def _pairs(out: Path, plan: Mapping[str, Sequence[_Line]]) -> list[tuple[Sample, Sample]]:
    """Every sample before and after, read from the shards' own labels."""
    pairs = []
    for shard, lines in plan.items():
        by_number = {line.number: line.sample for line in lines}
        try:
            for name, text in read_members(out / shard, ".json").items():
                label = json.loads(text)
                path = PurePosixPath(shard, name).with_name(label["image"])
                pairs.append((by_number[label["line"]], _sample(path.as_posix(), label)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{out / shard} is not as it was packed ({error}); run the command again") from error
    return pairs


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
    )


def _write_manifest(out: Path, record: dict[str, Any], manifest: Path, packed: Sequence[Sample]) -> None:
    """The manifest, last of all: with it the set is complete."""
    path = out / "manifest.csv"
    text = manifest_text(packed, str(path))
    copy_origin(manifest, path, text, packed)
    if not path.exists() or path.read_bytes() != text.encode():
        write_text(path, text)
