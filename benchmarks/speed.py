"""Speed on NUAA beside the bare parts, in one run: python benchmarks/speed.py NUAA_MANIFEST [--images N]

Prints a Markdown table. "Trunk alone" is one pass of MobileNetV2's features with merged batch norm over prepared random
inputs of 160 px, batches of 32: no decoding, no cutting. Ratios are what to read; the machine may be noisy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import cv2
import dlib
import torch

from facepad.datasets.manifest import read_manifest
from facepad.evaluation import score_samples
from facepad.faces import find_boxes
from facepad.models import create_model, fuse_batch_norm
from facepad.preprocess import PreprocessSpec
from facepad.scorers.torch_scorer import TorchScorer
from facepad.trained import TrainedModel
from facepad.training import StageSettings, TrainingData, fit
from facepad.types import Sample


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def trunk_alone(images: int) -> float:
    front = fuse_batch_norm(create_model("mobilenet_v2", weights="none").features)
    front.to(memory_format=torch.channels_last)
    batch = torch.rand(32, 3, 160, 160).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        front(batch)
        return seconds(lambda: [front(batch) for _ in range(images // 32)]) * images / (images // 32 * 32)


def stage_1(root: Path, samples: list[Sample]) -> float:
    """The paper's first stage on whole frames: decoding, one trunk pass, twenty epochs of the head."""
    settings = StageSettings("head", "head", epochs=20, optimizer="rmsprop", lr=1e-4, batch_norm="frozen")
    dev = samples[:: max(1, len(samples) // 32)]
    with tempfile.TemporaryDirectory() as folder:
        data = TrainingData(root, samples, dev, PreprocessSpec(size=(160, 160)), cache=Path(folder) / "features")
        model = create_model("mobilenet_v2", weights="none")
        return seconds(lambda: fit(model, data, [settings], Path(folder) / "run"))


def evaluation(root: Path, samples: list[Sample]) -> float:
    """Scores from JPEG files at 2.7 x the face, boxes known."""
    model = create_model("mobilenet_v2", weights="none").eval()
    spec = PreprocessSpec(crop_scale=2.7, size=(160, 160))
    scorer = TorchScorer(TrainedModel(model, "mobilenet_v2", {}, spec, {}))
    score_samples(scorer, root, samples[:32])
    return seconds(lambda: score_samples(scorer, root, samples))


def _plain_dlib(path: str) -> int:
    global _detector  # one per process
    try:
        detector = _detector
    except NameError:
        cv2.setNumThreads(1)
        detector = _detector = dlib.get_frontal_face_detector()
    return len(detector.run(cv2.imread(path, cv2.IMREAD_GRAYSCALE), 0, 0.0)[0])


def dlib_alone(paths: list[Path]) -> float:
    with get_context("spawn").Pool(2) as pool:
        pool.map(_plain_dlib, map(str, paths[:4]))
        return seconds(lambda: pool.map(_plain_dlib, map(str, paths), chunksize=8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--images", type=int, default=2000, help="how many, evenly taken from the manifest")
    arguments = parser.parse_args()
    root = arguments.manifest.parent
    every = [sample for sample in read_manifest(arguments.manifest) if sample.box]
    samples = every[:: max(1, len(every) // arguments.images)][: arguments.images]
    paths = [root / sample.path for sample in samples]
    count = len(samples)
    trunk = (trunk_alone(count), trunk_alone(count))
    alone = min(trunk)
    rows = [("trunk alone", alone, 1.0), ("trunk alone, again", max(trunk), max(trunk) / alone)]
    took = stage_1(root, samples)
    rows.append(("stage 1 of tla-mobilenetv2-paper", took, took / alone))
    took = evaluation(root, samples)
    rows.append(("scoring from JPEG at 160 px", took, took / alone))
    some = paths[:: max(1, count // 400)]
    bare = dlib_alone(some)
    found = seconds(lambda: find_boxes(some, cache=None, jobs=2, progress=False))
    print(f"{count} images; detection on {len(some)} of them\n")
    print("| what | seconds | images/s | time relative to the bare part |\n|---|---|---|---|")
    for name, time_, ratio in rows:
        print(f"| {name} | {time_:.1f} | {count / time_:.0f} | {ratio:.2f} |")
    print(f"| dlib alone, 2 processes | {bare:.1f} | {len(some) / bare:.0f} | 1.00 |")
    print(f"| find_boxes, 2 processes, with their start | {found:.1f} | {len(some) / found:.0f} | {found / bare:.2f} |")


if __name__ == "__main__":
    main()
