"""The clips of a synthetic data set: the list of presentations, and the frames that the camera records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.procedural.camera import Camera, sensor_grain
from facepad.datasets.procedural.presentation import FAMILIES, Framing, present_attack, present_person
from facepad.datasets.procedural.subject import Subject
from facepad.types import AttackType, Box, Label, Split

__all__ = ["Clip", "plan_clips", "shots"]

_FRAMES = 5
_INSTRUMENTS = (AttackType.PRINT, AttackType.REPLAY_PHOTO)


@dataclass(frozen=True, slots=True)
class Clip:
    """A few frames of one presentation, with one subject, camera, light and instrument.

    Attributes:
        seed: Seed of the data set.
        subject: Number of the person in the data set.
        split: Split of the subject.
        number: Number of the clip among the subject's clips.
        frames: Number of frames.
        attack_type: None for bona fide.
        family: Kind of print or screen; None for bona fide.
    """

    seed: int
    subject: int
    split: Split
    number: int
    frames: int
    attack_type: AttackType | None
    family: str | None

    @property
    def label(self) -> Label:
        """Bona fide, or attack."""
        return Label.ATTACK if self.attack_type else Label.BONA_FIDE

    @property
    def kind(self) -> str:
        """Label, or instrument and family, for file names."""
        return f"{self.attack_type}-{self.family}" if self.attack_type else "bona_fide"


def plan_clips(subjects: int, seed: int, images_per_subject: int) -> list[Clip]:
    """All clips in path order. Instruments and families alternate, also from subject to subject."""
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
            clips.append(Clip(seed, subject, split_of[subject], number, frames, attack_type, family))
    return clips


def _split_at(rank: int, train: int, dev: int) -> Split:
    if rank < train:
        return Split.TRAIN
    return Split.DEV if rank < train + dev else Split.TEST


def _clip_lengths(images: int) -> list[int]:
    return [min(_FRAMES, images - start) for start in range(0, images, _FRAMES)]


def shots(clip: Clip, size: tuple[int, int]) -> Iterator[tuple[Camera, NDArray[np.uint8], Box]]:
    """The frames of a clip, each as (camera, uint8 RGB image of the given (height, width), face square)."""
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
