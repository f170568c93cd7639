"""Speed on NUAA, compared with the libraries alone: python benchmarks/speed.py NUAA_FOLDER [--images N]

Prints Markdown tables. "Trunk, PyTorch" is one pass of MobileNetV2's features in PyTorch (eval mode, channels last)
over random inputs of 160 px in batches of 32. "Trunk, ONNX Runtime" is the same pass in ONNX Runtime, with the code
that facepad uses for frozen networks. Both exclude decoding and cropping. "dlib alone" is one search by dlib's detector
per image, in two processes that are started before the measurement. OpenCV decodes the images to grey. The ratios are
more reliable than the times, because the machine may have other load.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import cv2
import dlib
import numpy as np
import torch

from _common import parser, timed
from facepad.datasets.manifest import read_manifest
from facepad.datasets.prepare import prepare
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.runs import TrainedModel
from facepad.modelfile.scorers import BundleScorer
from facepad.modelfile.scorers.run_scorer import bundle_of
from facepad.models import create_model, freeze
from facepad.training.data import TrainingData
from facepad.training.fit import fit
from facepad.training.settings import StageSettings, TrainingPlan
from facepad.types import Sample
from facepad.workflow.scoring import score_samples

BATCH = 32


def trunk_torch(images: int) -> float:
    trunk = create_model("mobilenet_v2", weights="none").features.eval().to(memory_format=torch.channels_last)
    batch = torch.rand(BATCH, 3, 160, 160).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        trunk(batch)
        return timed(lambda: [trunk(batch) for _ in range(images // BATCH)])


def trunk_onnx(images: int) -> float:
    trunk = freeze(create_model("mobilenet_v2", weights="none").features, (160, 160), ["features"])
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, 160, 160, 3), dtype=np.uint8)
    trunk(batch)
    return timed(lambda: [trunk(batch) for _ in range(images // BATCH)])


def stage_1(root: Path, samples: list[Sample]) -> float:
    """Seconds of the paper's first stage on whole frames: decoding, one trunk pass, twenty epochs of the head."""
    settings = StageSettings(
        name="head", trainable_from="head", epochs=20, optimizer="rmsprop", lr=1e-4, batch_norm="frozen"
    )
    dev = samples[:: max(1, len(samples) // 32)]
    with tempfile.TemporaryDirectory() as folder:
        data = TrainingData(root, samples, dev, PreprocessSpec(size=(160, 160)), cache=Path(folder) / "features")
        model = create_model("mobilenet_v2", weights="none")
        plan = TrainingPlan(stages=(settings,))
        return timed(lambda: fit(model, data, plan, Path(folder) / "run"))


def evaluation(root: Path, samples: list[Sample]) -> float:
    """Seconds of scoring JPEG files at 2.7 x the face, with known face boxes."""
    model = create_model("mobilenet_v2", weights="none").eval()
    spec = PreprocessSpec(crop_scale=2.7, size=(160, 160))
    scorer = BundleScorer(bundle_of(TrainedModel(model, "mobilenet_v2", {}, spec, {})))
    score_samples(scorer, root, samples[:32])
    return timed(lambda: score_samples(scorer, root, samples))


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
        pool.map(_plain_dlib, map(str, paths[:16]))
        return timed(lambda: pool.map(_plain_dlib, map(str, paths), chunksize=8))


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("nuaa", type=Path, help="the folder that contains ClientRaw and ImposterRaw")
    options.add_argument(
        "--images", type=int, default=2016, help="number of images for training and scoring (default: 2016)"
    )
    arguments = options.parse_args(words)
    paths = sorted(arguments.nuaa.glob("*Raw/*/*.jpg"))
    bare = dlib_alone(paths)
    with tempfile.TemporaryDirectory() as folder:
        prepared = timed(lambda: prepare("nuaa", arguments.nuaa, Path(folder), jobs=2))
        manifest = Path(folder) / "manifest.csv"
        every = [sample for sample in read_manifest(manifest) if sample.box]
        count = arguments.images // BATCH * BATCH
        samples = every[:: max(1, len(every) // count)][:count]
        trunks = [(trunk_torch(count), trunk_onnx(count))]
        stage = stage_1(manifest.parent, samples)
        scoring = evaluation(manifest.parent, samples)
        trunks.append((trunk_torch(count), trunk_onnx(count)))
    torch_alone, onnx_alone = (min(times) for times in zip(*trunks, strict=True))
    print(f"{count} of {len(every)} images; detection on all {len(paths)} images\n")
    print("| task | seconds | images/s | x trunk, PyTorch | x trunk, ONNX Runtime |\n|---|---|---|---|---|")
    rows = [
        (f"trunk, {name}, pass {part + 1}", times[column])
        for column, name in enumerate(("PyTorch", "ONNX Runtime"))
        for part, times in enumerate(trunks)
    ]
    rows += [("stage 1 of tla-mobilenetv2-paper, from JPEG", stage), ("scoring from JPEG at 2.7 x the face", scoring)]
    for name, took in rows:
        print(f"| {name} | {took:.1f} | {count / took:.0f} | {took / torch_alone:.2f} | {took / onnx_alone:.2f} |")
    print("\n| task | seconds | images/s | x dlib alone |\n|---|---|---|---|")
    for name, took in (("dlib alone, 2 processes", bare), ("data prepare nuaa, 2 processes", prepared)):
        print(f"| {name} | {took:.1f} | {len(paths) / took:.0f} | {took / bare:.2f} |")


if __name__ == "__main__":
    main()
