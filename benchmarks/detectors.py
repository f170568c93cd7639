"""Compare the two face detectors: agreement of their squares, recall by face size, speed, and faces found elsewhere.

The script also measures both detectors without their first step. "dlib, whole" always searches the whole image, and
"yunet, whole" leaves out the first look, at a smaller image.

    python benchmarks/detectors.py ROOT [--every 10] [--sweep 1000] [--out docs/results/detectors.md]
    python benchmarks/detectors.py --set NAME=MANIFEST ... [--out docs/results/detectors.md]
    python benchmarks/detectors.py ROOT --fit [--every 1]                     prints YuNet's calibration

ROOT contains NUAA's ClientRaw, ImposterRaw and official lists. Each detector runs in one thread, so speeds are per
core. ``--set`` adds the table of the images without a face, among all images of each manifest. NUAA's tables and this
table may be measured apart: what is not measured stays in the file of ``--out`` as it is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from _common import made_by, markdown, packages, parser, publish
from _faces import WholeImage, WholeYuNet
from facepad.datasets.manifest import read_manifest
from facepad.errors import FacepadError
from facepad.faces import Detector, create_detector, iou, map_box
from facepad.faces.yunet import YuNetDetector, canonical_square
from facepad.media.images import read_image
from facepad.metrics.intervals import clopper_pearson
from facepad.types import Box, Label

FACE_SIZES = (60, 70, 80, 100, 120, 160)
PACKAGES = ("dlib-bin", "onnxruntime", "opencv-python-headless", "numpy")
SAME_FACE = 0.5
WALL = 127
WHOLE = {"dlib": WholeImage.name, "yunet": WholeYuNet.name}
"""Name of a detector -> name of the same detector without its first step."""
KINDS = {
    "shrunk": "The whole image shrunk",
    "framed": "The shrunk image in the middle of a grey image of the original size (a small face in a large image)",
}
OTHER_SETS = "## Faces found on other sets\n"
"""The title of the page's last part, which has its own command, date and commit."""

T = TypeVar("T")


@dataclass
class Found:
    """The best square of each detector in one image. The keys of ``boxes`` are detector names."""

    path: Path
    boxes: dict[str, Box | None]

    @property
    def agreement(self) -> float:
        """IoU of the squares of dlib and YuNet. 0 if a square is missing."""
        return self.agreement_of("dlib", "yunet")

    def agreement_of(self, one: str, other: str) -> float:
        first, second = self.boxes[one], self.boxes[other]
        return iou(first, second) if first and second else 0.0


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("root", type=Path, nargs="?", help="the folder of NUAA")
    options.add_argument(
        "--set", dest="sets", metavar="NAME=MANIFEST", type=named, action="append", default=[], help="a set to count on"
    )
    options.add_argument("--every", type=int, default=10, help="use only every Nth image")
    options.add_argument(
        "--sweep", type=int, default=1000, help="number of images for the table of face sizes (default: 1000)"
    )
    options.add_argument("--sizes", type=int, nargs="+", default=FACE_SIZES, help="face sizes in that table, in pixels")
    options.add_argument("--yunet-model", type=Path)
    options.add_argument("--out", type=Path, help="also write the page to this file")
    options.add_argument("--fit", action="store_true", help="only fit YuNet's calibration, on NUAA's training lists")
    arguments = options.parse_args(words)
    if not arguments.root and (arguments.fit or not arguments.sets):
        options.error("give ROOT, or a --set without --fit")
    cv2.setNumThreads(1)
    yunet = YuNetDetector(arguments.yunet_model)
    if arguments.fit:
        print(fit(training_images(arguments.root)[:: arguments.every], yunet))
        return
    compared: list[Detector] = [create_detector("dlib"), WholeImage(), yunet, WholeYuNet(arguments.yunet_model)]
    measured, _, elsewhere = kept(arguments.out).partition(OTHER_SETS)
    if arguments.root:
        images = sorted(arguments.root.glob("*Raw/*/*.jpg"))[:: arguments.every]
        if not images:
            sys.exit(f"{arguments.root}: no images like ClientRaw/0001/*.jpg")
        measured = page(arguments, images, compared)
    if arguments.sets:
        try:
            elsewhere = other_sets(dict(arguments.sets), compared)
        except FacepadError as error:
            sys.exit(str(error))
    parts = [measured, OTHER_SETS + elsewhere if elsewhere else ""]
    publish("\n\n".join(part.rstrip("\n") for part in parts if part), arguments.out)


def named(word: str) -> tuple[str, Path]:
    """Name and manifest of a ``--set``."""
    name, equals, manifest = word.partition("=")
    if not (name and equals and manifest):
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=MANIFEST")
    return name, Path(manifest)


def kept(page: Path | None) -> str:
    """The text of the former page. Empty without one."""
    return page.read_text(encoding="utf-8") if page and page.is_file() else ""


def page(arguments: argparse.Namespace, images: list[Path], detectors: list[Detector]) -> str:
    """The page with the tables of NUAA."""
    found, seconds = detect(images, detectors)
    tables = [
        head(arguments, len(images), detectors),
        found_table(found),
        agreement_table(found),
        speed_table(seconds),
        quick_table(found, "dlib"),
        quick_table(found, "yunet"),
        sweep_tables(found, arguments.sweep, arguments.sizes, detectors),
    ]
    return "\n".join(tables)


def head(arguments: argparse.Namespace, images: int, detectors: list[Detector]) -> str:
    command = f"python benchmarks/detectors.py NUAA_FOLDER --every {arguments.every} --sweep {arguments.sweep}"
    which = "all images" if arguments.every == 1 else f"every {arguments.every}th image"
    identities = " and ".join(f"`{one.identity}`" for one in detectors if one.name not in WHOLE.values())
    return (
        "<!-- written by benchmarks/detectors.py --out; do not edit by hand -->\n# Face detectors\n\n"
        f"{made_by(command)}, {packages(*PACKAGES)}.\n"
        f"The data of all tables but the last are {which} of NUAA ({images} images of 640x480 pixels). The last table\n"
        f"may be of another commit. The detectors are {identities}.\n"
        "Each is also measured without its first step. **dlib, whole** always searches the whole image.\n"
        "**yunet, whole** leaves out the first look, at an image of half the size. Only the best square of a detector\n"
        "counts. The 95 % intervals (Clopper-Pearson) assume independent frames, but these frames show only 15 "
        "people.\n"
    )


def detect(paths: list[Path], detectors: list[Detector]) -> tuple[list[Found], dict[str, list[float]]]:
    seconds: dict[str, list[float]] = {detector.name: [] for detector in detectors}
    for detector in detectors:
        detector.detect(read_image(paths[0]))  # the first call loads the model
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


def found_table(found: list[Found]) -> str:
    rows = []
    for name in found[0].boxes:
        faces = sum(one.boxes[name] is not None for one in found)
        rows.append((name, str(len(found) - faces), rate(faces, len(found))))
    columns = ["detector", "images without a face", "images with a face, %"]
    return f"## Faces found\n\n{markdown(columns, rows)}"


def other_sets(sets: Mapping[str, Path], detectors: list[Detector]) -> str:
    """The last part of the page, without its title: the images of each set and class without a face."""
    rows: list[tuple[object, ...]] = []
    for name, manifest in sets.items():
        samples = read_manifest(manifest)
        found, _ = detect([manifest.parent / sample.path for sample in samples], detectors)
        for label in Label:
            of_class = [one for one, sample in zip(found, samples, strict=True) if sample.label is label]
            rows.append((name, label.value.replace("_", " "), *misses(of_class, detectors)))
    totals = [sum(numbers) for numbers in list(zip(*rows, strict=True))[2:]]
    columns = ["set", "class", "images", *(one.name for one in detectors), f"IoU < {SAME_FACE}"]
    command = f"python benchmarks/detectors.py {' '.join(f'--set {name}=MANIFEST' for name in sets)}"
    identities = " and ".join(f"`{one.identity}`" for one in detectors if one.name not in WHOLE.values())
    return (
        f"\n{made_by(command)}, {packages(*PACKAGES)}.\nThe detectors are {identities}.\n\n"
        "The table counts the images without a face, for each detector, among all images of each set.\nA square "
        "counts wherever it is. The last column counts the images in which the squares of dlib and "
        f"YuNet have an IoU\nbelow {SAME_FACE}: they are on different people of one image, or one of them is wrong.\n\n"
        f"{markdown(columns, [*rows, ('all', '', *totals)])}"
    )


def misses(found: list[Found], detectors: list[Detector]) -> tuple[int, ...]:
    """Number of images, of images without a face for each detector, and of images with different faces."""
    without = [sum(one.boxes[detector.name] is None for one in found) for detector in detectors]
    both = [one for one in found if one.boxes["dlib"] and one.boxes["yunet"]]
    return len(found), *without, sum(one.agreement < SAME_FACE for one in both)


def agreement_table(found: list[Found]) -> str:
    agreements = [one.agreement for one in found if one.boxes["dlib"] and one.boxes["yunet"]]
    rows = [
        ("images in which both find a face", f"{len(agreements)} of {len(found)}"),
        ("mean IoU of their squares", f"{statistics.mean(agreements):.3f}"),
        ("median IoU", f"{statistics.median(agreements):.3f}"),
        ("share with IoU >= 0.8", share(agreements, 0.8)),
        (f"share with IoU >= {SAME_FACE} (the same face)", share(agreements, SAME_FACE)),
    ]
    return f"## Agreement of dlib's and YuNet's squares\n\n{markdown(['', ''], rows)}"


def speed_table(seconds: dict[str, list[float]]) -> str:
    whole = seconds[WholeImage.name]
    rows = []
    for name, spent in seconds.items():
        ratios = [one / other for one, other in zip(spent, whole, strict=True)]
        numbers = (1000 * statistics.median(spent), 1000 * statistics.mean(spent), statistics.median(ratios))
        rows.append((name, *(f"{value:.2f}" for value in numbers), f"{sum(spent) / sum(whole):.2f}"))
    columns = ["detector", "median ms", "mean ms", "median ratio to dlib, whole", "ratio of the total times"]
    return (
        "## Time per image\n\nThe times are the CPU time of one thread, without decoding. The detectors take turns on "
        "each image. Other load on\nthe machine slows all of them, so the ratios are more reliable than the times.\n\n"
        f"{markdown(columns, rows)}"
    )


def quick_table(found: list[Found], name: str) -> str:
    """Agreement of a detector with the same detector without its first step."""
    whole = [one for one in found if one.boxes[WHOLE[name]]]
    both = [one for one in whole if one.boxes[name]]
    agreements = [one.agreement_of(name, WHOLE[name]) for one in both]
    rows = [
        ("identical squares", share(agreements, 1.0)),
        ("mean IoU of the squares", f"{statistics.mean(agreements):.4f}"),
        (f"images in which only {WHOLE[name]} finds a face", str(len(whole) - len(both))),
        (f"different faces (IoU < {SAME_FACE})", str(sum(value < SAME_FACE for value in agreements))),
    ]
    return f"## Agreement of {name} and {WHOLE[name]}\n\n{markdown(['', ''], rows)}"


def sweep_tables(found: list[Found], count: int, sizes: Sequence[int], detectors: list[Detector]) -> str:
    """The tables of recall by face size."""
    agreed = [one for one in found if one.agreement >= SAME_FACE]
    count = min(count, len(agreed))
    names = [detector.name for detector in detectors]
    images, hits = sweep([agreed[index * len(agreed) // count] for index in range(count)], sizes, detectors)
    text = (
        f"## Recall by size of the face\n\nThe tables use {count} images, evenly spread over the {len(agreed)} images "
        f"(of {len(found)}) in which dlib and YuNet find the\nsame face at full size. The mean of the two squares "
        "counts as the true face. An image is used for each size up to the size\nof its face. The figures are the "
        f"percentage of images in which the best square is on the face (IoU >= {SAME_FACE}).\n"
    )
    for kind, title in KINDS.items():
        rows = [
            (f"{side} px", str(number), *(rate(hits[kind, side, name], number) for name in names))
            for side, number in sorted(images.items())
        ]
        text += f"\n### {title}\n\n{markdown(['side of the face square', 'images', *names], rows)}"
    return text


def sweep(
    found: list[Found], sizes: Sequence[int], detectors: list[Detector]
) -> tuple[Counter[int], Counter[tuple[str, int, str]]]:
    """Side -> number of images, and (kind, side, detector) -> number of best squares with IoU >= 0.5."""
    images: Counter[int] = Counter()
    hits: Counter[tuple[str, int, str]] = Counter()
    for one in shown(found, "face sizes"):
        for side, pictures in shrunk(one, sizes):
            images[side] += 1
            for kind, (image, face) in pictures.items():
                for detector in detectors:
                    box = best(detector, image)
                    hits[kind, side, detector.name] += box is not None and iou(box, face) >= SAME_FACE
    return images, hits


def shrunk(one: Found, sizes: Sequence[int]) -> Iterator[tuple[int, dict[str, tuple[NDArray[np.uint8], Box]]]]:
    """Each side, and kind -> image shrunk to a face of this side and square of the face.

    Sides above the side of the original face are skipped.
    """
    face = mean_box([box for name, box in one.boxes.items() if box and name in WHOLE])
    image = read_image(one.path)
    old = image.shape[:2]
    for side in sizes:
        if face.width < side:
            continue
        new = (max(1, round(old[0] * side / face.width)), max(1, round(old[1] * side / face.width)))
        small = np.asarray(cv2.resize(image, new[::-1], interpolation=cv2.INTER_AREA))
        place = map_box(face, old, new)
        frame = np.full_like(image, WALL)
        top, left = (old[0] - new[0]) // 2, (old[1] - new[1]) // 2
        frame[top : top + new[0], left : left + new[1]] = small
        moved = Box(place.x1 + left, place.y1 + top, place.x2 + left, place.y2 + top)
        yield side, {"shrunk": (small, place), "framed": (frame, moved)}


def fit(paths: list[Path], yunet: YuNetDetector) -> str:
    """YuNet's calibration as a line of Python: the least absolute deviations from dlib's squares, in box heights."""
    dlib = create_detector("dlib")
    rows, squares = [], []
    for path in shown(paths, "detecting"):
        image = read_image(path)
        square = best(dlib, image)
        candidates = yunet.rows(image)
        if square is None or not len(candidates):
            continue
        row = max(candidates, key=lambda row: iou(canonical_square(row), square))
        if iou(canonical_square(row), square) >= 0.3:  # otherwise the squares are on different faces
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
    """Coefficients of least absolute deviation, by iteratively reweighted least squares.

    Unlike plain least squares, a few wrong boxes have little effect.
    """
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


def rate(hits: int, count: int) -> str:
    """The rate in percent, with its interval."""
    low, high = clopper_pearson(hits, count)
    return f"{100 * hits / count:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def shown(items: Sequence[T], text: str) -> Iterable[T]:
    return track(items, text, console=Console(stderr=True))


if __name__ == "__main__":
    main()
