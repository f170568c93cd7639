"""Data sets of videos made for tests: CASIA-MFSD, Replay-Attack and a small tree."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import av
import numpy as np

from facepad.datasets.frames import FrameChoice
from facepad.datasets.prepare import PrepareSettings, PrepareSummary, prepare
from facepad.types import Label, Sample, Split

CASIA_NAMES = [*(str(n) for n in range(1, 9)), *(f"HR_{n}" for n in range(1, 5))]
REPLAY_CLIENTS = {"train": range(1, 16), "devel": range(16, 31), "test": range(31, 51)}


def clip(path: Path, *, codec: str = "mjpeg", count: int = 5, seed: int = 0, size=(24, 32)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(count):
            image = np.full((*size, 3), rng.integers(0, 255, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return path


def link(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, path)


def casia_tree(root: Path, video: Path) -> Path:
    for part, people in (("train_release", 20), ("test_release", 30)):
        for person in range(1, people + 1):
            for name in CASIA_NAMES:
                link(video, root / part / str(person) / f"{name}.avi")
    return root


def replay_names(part: str) -> list[str]:
    names = []
    for client in REPLAY_CLIENTS[part]:
        who = f"client{client:03d}_session01"
        for light in ("adverse", "controlled"):
            names += [f"{part}/real/{who}_webcam_authenticate_{light}_{take}" for take in (1, 2)]
            for support in ("fixed", "hand"):
                names.append(f"{part}/attack/{support}/attack_print_{who}_highdef_photo_{light}")
                names += [
                    f"{part}/attack/{support}/attack_{device}_{who}_{device}_{kind}_{light}"
                    for device in ("mobile", "highdef")
                    for kind in ("photo", "video")
                ]
    return names


def replay_tree(root: Path, video: Path) -> Path:
    for part in REPLAY_CLIENTS:
        for name in replay_names(part):
            link(video, root / f"{name}.mov")
    return root


def write_faces(root: Path, name: str, *lines: str) -> None:
    path = root / "face-locations" / f"{name}.face"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def counts(samples: list[Sample]) -> dict[str, tuple[int, int]]:
    found = Counter((sample.split, sample.label) for sample in samples)
    return {split.value: (found[split, Label.BONA_FIDE], found[split, Label.ATTACK]) for split in Split}


def prepare_videos(
    dataset: str, root: Path, out: Path, *, protocol: str | None = None, jobs: int = 1, **frames
) -> PrepareSummary:
    choice = FrameChoice(**frames) if frames else None
    return prepare(dataset, root, out, PrepareSettings(protocol, frames=choice), jobs=jobs)
