"""How the two face detectors compare on NUAA: agreement of their squares, recall against face size, speed.

And dlib's quick looks at large faces beside a look at the whole image every time ("dlib, whole").

    python benchmarks/detectors.py ROOT [--every 10] [--yunet-model FILE]     prints Markdown
    python benchmarks/detectors.py ROOT --fit [--every 1]                     prints YuNet's calibration

ROOT holds ClientRaw, ImposterRaw and the official lists. One thread does everything, so that the speeds are per core.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from facepad.faces import Detector, create_detector, iou, map_box
from facepad.faces.dlib_detector import DlibDetector
from facepad.faces.yunet import YuNetDetector, canonical_square
from facepad.images import read_image
from facepad.types import Box, Face

FACE_SIZES = (60, 80, 100, 120, 160)
RECALL_EVERY = 4
SAME_FACE = 0.5

T = TypeVar("T")


class WholeImage(DlibDetector):
    """dlib without its quick looks."""

    name = "dlib, whole"

    def _large_faces(self, grey: NDArray[np.uint8]) -> list[Face]:
        return []


@dataclass
class Found:
    """The best squares of one image, by detector name."""

    path: Path
    boxes: dict[str, Box | None]

    @property
    def agreement(self) -> float:
        """IoU of the two detectors' squares; 0 where one is missing."""
        return self.agreement_of("dlib", "yunet")

    def agreement_of(self, one: str, other: str) -> float:
        first, second = self.boxes[one], self.boxes[other]
        return iou(first, second) if first and second else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--every", type=int, default=10, help="take every Nth image")
    parser.add_argument("--yunet-model", type=Path)
    parser.add_argument("--fit", action="store_true", help="fit YuNet's calibration on the training lists instead")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    yunet = YuNetDetector(arguments.yunet_model)
    if arguments.fit:
        print(fit(training_images(arguments.root)[:: arguments.every], yunet))
        return
    detectors: list[Detector] = [create_detector("dlib"), WholeImage(), yunet]
    images = sorted(arguments.root.glob("*Raw/*/*.jpg"))[:: arguments.every]
    if not images:
        sys.exit(f"{arguments.root}: no images like ClientRaw/0001/*.jpg")
    found, seconds = detect(images, detectors)
    print(
        f"Every {arguments.every}th of NUAA's images ({len(images)}), OpenCV {cv2.__version__}, {platform.machine()}\n"
    )
    print(agreement_table(found, seconds))
    print(quick_table(found, seconds))
    print(recall_table([one for one in found if one.agreement >= SAME_FACE][::RECALL_EVERY], detectors))


def detect(paths: list[Path], detectors: list[Detector]) -> tuple[list[Found], dict[str, list[float]]]:
    seconds: dict[str, list[float]] = {detector.name: [] for detector in detectors}
    for detector in detectors:
        detector.detect(read_image(paths[0]))  # loads what is loaded once
    found = []
    for path in shown(paths, "detecting"):
        image = read_image(path)
        boxes = {}
        for detector in detectors:
            start = time.process_time()
            boxes[detector.name] = best(detector, image)
            seconds[detector.name].append(time.process_time() - start)
        found.append(Found(path, boxes))
    return found, seconds


def agreement_table(found: list[Found], seconds: dict[str, list[float]]) -> str:
    agreements = [one.agreement for one in found if one.boxes["dlib"] and one.boxes["yunet"]]
    rows = [
        ("images in which both find a face", f"{len(agreements)} of {len(found)}"),
        ("mean IoU of their squares", f"{statistics.mean(agreements):.3f}"),
        ("median IoU", f"{statistics.median(agreements):.3f}"),
        ("share with IoU >= 0.8", share(agreements, 0.8)),
        (f"share with IoU >= {SAME_FACE} (the same face)", share(agreements, SAME_FACE)),
    ]
    for name, spent in seconds.items():
        none = sum(one.boxes[name] is None for one in found)
        rows.append((f"{name}: images without a face", str(none)))
        rows.append((f"{name}: images/s of one core, decoding apart", f"{len(found) / sum(spent):.0f}"))
    return markdown(["agreement of dlib and yunet", ""], rows)


def quick_table(found: list[Found], seconds: dict[str, list[float]]) -> str:
    agreements = [one.agreement_of("dlib", "dlib, whole") for one in found if one.boxes["dlib, whole"]]
    ratios = [quick / whole for quick, whole in zip(seconds["dlib"], seconds["dlib, whole"], strict=True)]
    rows = [
        ("the very same square", share(agreements, 1.0)),
        ("mean IoU of the squares", f"{statistics.mean(agreements):.4f}"),
        ("faces that only the whole image shows", str(agreements.count(0.0))),
        ("time, median of the ratios", f"{statistics.median(ratios):.2f}"),
        ("time, sum", f"{sum(seconds['dlib']) / sum(seconds['dlib, whole']):.2f}"),
    ]
    return markdown(["dlib's quick looks, beside the whole image", ""], rows)


def recall_table(found: list[Found], detectors: list[Detector]) -> str:
    """Images shrunk until the face (mean of both squares) has a given side; a hit lies on it with IoU >= 0.5."""
    rows = []
    for side in FACE_SIZES:
        hits, count = dict.fromkeys((detector.name for detector in detectors), 0), 0
        for image, face in shrunk(found, side):
            count += 1
            for detector in detectors:
                box = best(detector, image)
                hits[detector.name] += box is not None and iou(box, face) >= SAME_FACE
        if count:
            rows.append((f"{side} px", str(count), *(f"{hit / count:.1%}" for hit in hits.values())))
    return markdown(["recall by side of the face square", "images", *(detector.name for detector in detectors)], rows)


def shrunk(found: list[Found], side: int) -> Iterator[tuple[NDArray[np.uint8], Box]]:
    for one in shown(found, f"faces of {side} px"):
        face = mean_box([box for name, box in one.boxes.items() if box and name != WholeImage.name])
        if face.width < side:
            continue
        image = read_image(one.path)
        old = image.shape[:2]
        new = (max(1, round(old[0] * side / face.width)), max(1, round(old[1] * side / face.width)))
        yield np.asarray(cv2.resize(image, new[::-1], interpolation=cv2.INTER_AREA)), map_box(face, old, new)


def fit(paths: list[Path], yunet: YuNetDetector) -> str:
    """YuNet's calibration: least absolute deviations from dlib's squares, in units of the box's height."""
    dlib = create_detector("dlib")
    rows, squares = [], []
    for path in shown(paths, "detecting"):
        image = read_image(path)
        square = best(dlib, image)
        candidates = yunet.rows(image)
        if square is None or not len(candidates):
            continue
        row = max(candidates, key=lambda row: iou(canonical_square(row), square))
        if iou(canonical_square(row), square) >= 0.3:  # else they look at different faces
            rows.append(row)
            squares.append((*square.center, square.width))
    table, target = np.array(rows), np.array(squares)
    width, height = table[:, 2], table[:, 3]
    middle_x, middle_y = table[:, 0] + width / 2, table[:, 1] + height / 2
    eyes_x, eyes_y = (table[:, 4] + table[:, 6]) / 2, (table[:, 5] + table[:, 7]) / 2
    (a,) = least_absolute((eyes_x - middle_x)[:, None] / height[:, None], (target[:, 0] - middle_x) / height)
    b, c = least_absolute(
        np.stack([(eyes_y - middle_y) / height, np.ones_like(height)], axis=1), (target[:, 1] - middle_y) / height
    )
    d, e = least_absolute(np.stack([width / height, np.ones_like(height)], axis=1), target[:, 2] / height)
    names = ("eyes_x", "eyes_y", "height_y", "width", "height")
    values = ", ".join(f'"{name}": {value:.4f}' for name, value in zip(names, (a, b, c, d, e), strict=True))
    return f"CALIBRATION = {{{values}}}  # {len(rows)} images"


def least_absolute(columns: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of least absolute deviation, by reweighted least squares: a few wrong boxes then do not matter."""
    weights = np.ones(len(target))
    for _ in range(100):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(columns * root[:, None], target * root, rcond=None)[0]
        weights = 1 / np.maximum(np.abs(columns @ solution - target), 1e-3)
    return np.asarray(solution)


def training_images(root: Path) -> list[Path]:
    images = []
    for kind, folder in (("client", "ClientRaw"), ("imposter", "ImposterRaw")):
        lines = (root / f"{kind}_train_raw.txt").read_text(encoding="latin-1").replace("\\", "/").split()
        images += [root / folder / line for line in lines]
    return [image for image in images if image.is_file()]


def best(detector: Detector, image: NDArray[np.uint8]) -> Box | None:
    faces = detector.detect(image)
    return faces[0].box if faces else None


def mean_box(boxes: list[Box]) -> Box:
    return Box(*(float(value) for value in np.mean([box.xyxy for box in boxes], axis=0)))


def share(values: list[float], least: float) -> str:
    return f"{sum(value >= least for value in values) / len(values):.1%}"


def markdown(header: list[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(items: Sequence[T], text: str) -> Iterable[T]:
    return track(items, text, console=Console(stderr=True))


if __name__ == "__main__":
    main()
