"""The synthetic data set: procedural people before a camera, and prints and screens that show them to it.

Licence: the pictures are drawn from numbers by this package; they show nobody and may be used freely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facepad.datasets._procedural.camera import Camera, sensor_grain
from facepad.datasets._procedural.presentation import FAMILIES, Framing, present_attack, present_person
from facepad.datasets._procedural.subject import Subject
from facepad.errors import DatasetError
from facepad.files.disk import claim_output, write_bytes
from facepad.media.videos import write_video
from facepad.runtime.parallel import available_cpus
from facepad.types import AttackType, Box, Label, Sample, Split

__all__ = ["generate"]

_MIN_SUBJECTS = 4  # two to train, one each for dev and test
_MIN_SIDE = 120
_CLIP_FRAMES = 5
_INSTRUMENTS = (AttackType.PRINT, AttackType.REPLAY_PHOTO)


@dataclass(frozen=True, slots=True)
class _Clip:
    """Some frames of one presentation: one subject, one camera, one light, one instrument."""

    seed: int
    subject: int
    split: Split
    number: int
    frames: int
    attack_type: AttackType | None
    family: str | None


def generate(
    out: Path,
    *,
    subjects: int = 12,
    seed: int = 0,
    images_per_subject: int = 50,
    size: tuple[int, int] = (480, 640),
    video: bool = False,
    jobs: int | None = None,
    progress: bool = True,
) -> list[Sample]:
    """Draw a labelled data set of procedural faces and attacks into ``out``/images/<subject>/.

    Half of each subject's images are bona fide; the others show a print or a photo on a screen. Subjects are divided
    50/25/25 % into train, dev and test. Camera, compression, framing and light have the same distribution in both
    classes. The same seed gives the same bytes for any number of jobs (with the same OpenCV and numpy).

    Args:
        out: An absent or empty folder.
        subjects: Number of people, at least 4.
        seed: Not negative; another seed gives other people.
        images_per_subject: At least 2.
        size: (height, width) of the images, at least 120 pixels each.
        video: Write each presentation as a video (MPEG-4, 5 images long) instead, in a tree that the data set
            ``video-folder`` reads: ``out``/<split>/live/<subject>/ and ``out``/<split>/spoof/<instrument>/<subject>/.
        jobs: Worker processes; None takes the processors this process may use. Above 1 they are spawned, so a script
            needs the usual ``if __name__ == "__main__"`` guard.
        progress: Show a progress bar on stderr.

    Returns:
        One sample per image in path order; ``path`` is relative to ``out``, ``box`` is the canonical face square as
        the renderer knows it, ``video`` names the presentation and ``frame`` counts in it. With ``video``, one sample
        per video, with none of these three.

    Raises:
        DatasetError: an argument is out of its range.
        OutputExistsError: ``out`` holds something.
        RunError: a file cannot be written.
    """
    jobs = available_cpus() if jobs is None else jobs
    _check(subjects, seed, images_per_subject, size, jobs)
    out = claim_output(Path(out))
    clips = _plan(subjects, seed, images_per_subject)
    columns = (TextColumn("drawing faces"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    samples: list[Sample] = []
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("", total=len(clips) if video else subjects * images_per_subject)
        record = partial(_record_video if video else _record, out=out, size=size)
        for recorded in _record_all(clips, record, min(jobs, len(clips))):
            samples.extend(recorded)
            bar.advance(task, len(recorded))
    return samples


def _check(subjects: int, seed: int, images_per_subject: int, size: tuple[int, int], jobs: int) -> None:
    if subjects < _MIN_SUBJECTS:
        raise DatasetError(
            f"subjects: expected at least {_MIN_SUBJECTS} (train, dev and test share none), got {subjects}"
        )
    if images_per_subject < 2:
        raise DatasetError(f"images per subject: expected at least 2 (bona fide and attack), got {images_per_subject}")
    if min(size) < _MIN_SIDE:
        raise DatasetError(f"size: expected (height, width) of at least {_MIN_SIDE} pixels each, got {size}")
    for name, value, least in (("seed", seed, 0), ("jobs", jobs, 1)):
        if value < least:
            raise DatasetError(f"{name}: expected {least} or more, got {value}")


def _plan(subjects: int, seed: int, images_per_subject: int) -> list[_Clip]:
    """All presentations in path order; instruments and their families take turns, across subjects too."""
    order = np.random.default_rng([seed, 0]).permutation(subjects)
    train, dev = round(subjects / 2), max(round(subjects / 4), 1)
    split_of = {int(subject): _split_at(rank, train, dev) for rank, subject in enumerate(order)}
    attacks = images_per_subject // 2
    clips = []
    for subject in range(subjects):
        bona_fide = _clip_lengths(images_per_subject - attacks)
        for number, frames in enumerate(bona_fide + _clip_lengths(attacks)):
            turn = number - len(bona_fide)
            attack_type = _INSTRUMENTS[(subject + turn) % len(_INSTRUMENTS)] if turn >= 0 else None
            families = FAMILIES[attack_type] if attack_type else ()
            family = families[(subject + turn // len(_INSTRUMENTS)) % len(families)] if attack_type else None
            clips.append(_Clip(seed, subject, split_of[subject], number, frames, attack_type, family))
    return clips


def _split_at(rank: int, train: int, dev: int) -> Split:
    if rank < train:
        return Split.TRAIN
    return Split.DEV if rank < train + dev else Split.TEST


def _clip_lengths(images: int) -> list[int]:
    return [min(_CLIP_FRAMES, images - start) for start in range(0, images, _CLIP_FRAMES)]


def _record_all(clips: Sequence[_Clip], record: Callable[[_Clip], list[Sample]], jobs: int) -> Iterator[list[Sample]]:
    """Record the clips in order, in this process or in ``jobs`` spawned ones."""
    if jobs == 1:
        yield from map(record, clips)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        try:
            yield from pool.map(record, clips)
        finally:
            pool.shutdown(cancel_futures=True)


def _record(clip: _Clip, out: Path, size: tuple[int, int]) -> list[Sample]:
    """Render one clip, write its images, and return their samples."""
    name, kind = f"s{clip.subject:03d}", _kind(clip)
    video = f"{name}/{clip.number:02d}-{kind}"
    label = Label.ATTACK if clip.attack_type else Label.BONA_FIDE
    samples = []
    for number, (camera, image, box) in enumerate(_shots(clip, size)):
        path = f"images/{video}-{number}.jpg"
        write_bytes(out / path, camera.encode(image))
        samples.append(Sample(path, name, label, clip.attack_type, clip.split, video, number, box))
    return samples


def _record_video(clip: _Clip, out: Path, size: tuple[int, int]) -> list[Sample]:
    """Render one clip, write it as a video, and return its sample."""
    name = f"s{clip.subject:03d}"
    folder = f"spoof/{clip.attack_type}" if clip.attack_type else "live"
    path = f"{clip.split}/{folder}/{name}/{clip.number:02d}-{_kind(clip)}.mp4"
    write_video(out / path, (image for _, image, _ in _shots(clip, size)))
    label = Label.ATTACK if clip.attack_type else Label.BONA_FIDE
    return [Sample(path, name, label, clip.attack_type, clip.split)]


def _kind(clip: _Clip) -> str:
    return f"{clip.attack_type}-{clip.family}" if clip.attack_type else "bona_fide"


def _shots(clip: _Clip, size: tuple[int, int]) -> Iterator[tuple[Camera, NDArray[np.uint8], Box]]:
    """The camera, what it records image by image, and the face square in each."""
    rng = np.random.default_rng([clip.seed, clip.subject, clip.number, 7])
    subject = Subject.sample(clip.seed, clip.subject)
    camera, framing = Camera.sample(rng), Framing.sample(rng, size)
    if clip.attack_type is None or clip.family is None:
        frames = present_person(subject, rng, size, framing)
    else:
        frames = present_attack(subject, rng, size, framing, clip.attack_type, clip.family)
    grain = sensor_grain(np.random.default_rng([clip.seed, clip.subject, clip.number, 8]), size)
    for scene, box in islice(frames, clip.frames):
        noise = np.roll(grain, rng.integers(0, size), axis=(0, 1))
        yield camera, camera.record(scene, noise), box
