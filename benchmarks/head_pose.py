"""Measure the yaw as the active check does: of heads with a known yaw, of photographs as sheets, and of NUAA's images.

    FACEPAD_MODELS=DIR python benchmarks/head_pose.py [NUAA_DB] [--images 300]

Prints Markdown tables. The script needs the model files of YuNet and of the face mesh, and `pip install '.[train]'`. It
does not store NUAA's images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from _common import parser
from facepad.datasets.procedural.camera import to_display
from facepad.datasets.procedural.scene import render
from facepad.datasets.procedural.subject import Expression, Subject
from facepad.datasets.procedural.view import Lighting, Pose, View
from facepad.faces import create_detector
from facepad.media.images import read_image
from facepad.service.poses import PoseEstimator
from facepad.types import Box

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

HEADS = 8
TURNS = (-40, -30, -25, -20, -10, 0, 10, 20, 25, 30, 40)
FRAME, FACE = 480, 200  # sides of a frame and of the face in a frame, in pixels
REACH = 1.1  # half the side of a sheet, in sides of the face
STRIPS = 44  # number of flat strips of a bent sheet
SHEETS_OF_ONE = 250
BENT = "the same as a sheet, bent by 30 to 120 degrees over the width of the face"


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("nuaa", nargs="?", type=Path, help="folder `db` of NUAA")
    options.add_argument("--images", type=int, default=300, help="images of each class of NUAA (default: 300)")
    arguments = options.parse_args(words)
    estimator = PoseEstimator()
    known_turns(estimator)
    rng = np.random.default_rng(0)
    rows = [("scikit-image's astronaut as a flat sheet", _flat([data.astronaut()] * SHEETS_OF_ONE, rng))]
    rows.append((BENT, _bent([data.astronaut()] * SHEETS_OF_ONE, rng)))
    if arguments.nuaa:
        clients = _files(arguments.nuaa / "ClientRaw", arguments.images)
        rows.append(("photographs of NUAA's clients as flat sheets", _flat(map(read_image, clients), rng)))
        rows.append((BENT, _bent(map(read_image, clients), rng)))
        rows.append(("NUAA: unchanged images of clients", map(read_image, clients)))
        prints = _files(arguments.nuaa / "ImposterRaw", arguments.images)
        rows.append(("NUAA: unchanged images of imposters (prints held by hand)", map(read_image, prints)))
    print("| shown | images | with a pose | median | 99th percentile | largest | 20 or more | 25 or more |")
    print("|---|---|---|---|---|---|---|---|")
    for name, images in rows:
        print(_row(name, estimator, images))


def known_turns(estimator: PoseEstimator) -> None:
    """Print the table of procedural heads, whose true yaw is known."""
    print(f"| true yaw of {HEADS} procedural heads | " + " | ".join(map(str, TURNS)) + " |")
    print("|---" * (len(TURNS) + 1) + "|")
    wall = np.full((FRAME, FRAME, 3), 0.3, np.float32)
    cells = []
    for turn in TURNS:
        pose, view = Pose(yaw=float(np.radians(turn))), View(FRAME / 2, FRAME * 0.44, 1.2)
        frames = (render(Subject.sample(0, n), Expression(), pose, Lighting(), view, wall) for n in range(HEADS))
        yaws = [seen.yaw for frame in frames if (seen := estimator.estimate(0.0, to_display(frame)))]
        cells.append(f"{np.mean(yaws):.0f} ({min(yaws):.0f} to {max(yaws):.0f})" if yaws else "no face")
    print("| measured: mean (range) | " + " | ".join(cells) + " |\n")


def _row(name: str, estimator: PoseEstimator, images: Iterator[Image]) -> str:
    seen = [estimator.estimate(0.0, image) for image in images]
    yaws = np.abs([pose.yaw for pose in seen if pose is not None])
    shares = (f"{np.count_nonzero(yaws >= limit)}" for limit in (20, 25))
    spread = (f"{value:.1f}" for value in np.percentile(yaws, (50, 99, 100)))
    return f"| {' | '.join((name, str(len(seen)), str(len(yaws)), *spread, *shares))} |"


def _flat(photos: Iterator[Image] | Sequence[Image], rng: np.random.Generator) -> Iterator[Image]:
    """Each photograph as a flat sheet with random yaw, pitch and roll, at a distance of 2 to 8 face sides."""
    for photo, box in _with_boxes(photos):
        tilts = rng.uniform(-1, 1, 3) * (65, 45, 45)
        yield _shown(photo, box, 0.0, tilts, rng.uniform(2, 8))


def _bent(photos: Iterator[Image] | Sequence[Image], rng: np.random.Generator) -> Iterator[Image]:
    """Each photograph as a sheet with random yaw, pitch and roll, bent about the vertical axis.

    The middle of the sheet is nearest to the camera. The bend is 30 to 120 degrees over the width of the face.
    """
    for photo, box in _with_boxes(photos):
        tilts = rng.uniform(-1, 1, 3) * (65, 20, 20)
        yield _shown(photo, box, np.radians(rng.uniform(30, 120)), tilts, rng.uniform(2, 8))


def _with_boxes(photos: Iterator[Image] | Sequence[Image]) -> Iterator[tuple[Image, Box]]:
    detector = create_detector("yunet")
    for photo in photos:
        faces = detector.detect(photo)
        if faces:
            yield photo, faces[0].box


def _shown(photo: Image, box: Box, bend: float, tilts: NDArray[np.float64], distance: float) -> Image:
    """A pinhole camera's image of a sheet, which is drawn as flat vertical strips, the farthest strip first."""
    across, down = np.meshgrid(np.linspace(-REACH, REACH, STRIPS + 1 if bend else 2), (-REACH, REACH))
    x, z = (np.sin(across * bend) / bend, (1 - np.cos(across * bend)) / bend) if bend else (across, 0 * across)
    corners = np.stack([x, down, z], axis=-1) @ _rotation(*np.radians(tilts)).T
    seen = corners[..., :2] * (distance / (distance + corners[..., 2]))[..., None] * FACE + FRAME / 2
    source = np.stack([across, down], axis=-1) * box.width + box.center
    map_x, map_y = (np.full((FRAME, FRAME), -1e4, np.float32) for _ in range(2))
    depths = [corners[:, strip : strip + 2, 2].mean() for strip in range(across.shape[1] - 1)]
    for strip in np.argsort(depths)[::-1]:
        pick = ([0, 0, 1, 1], [strip, strip + 1, strip + 1, strip])
        _draw(map_x, map_y, np.float32(seen[pick]), np.float32(source[pick]))
    canvas = np.full((FRAME, FRAME, 3), 127, np.uint8)
    return np.asarray(cv2.remap(photo, map_x, map_y, cv2.INTER_LINEAR, canvas, cv2.BORDER_TRANSPARENT), dtype=np.uint8)


def _draw(map_x: Floats, map_y: Floats, seen: Floats, source: Floats) -> None:
    """Enter one strip into the maps of source pixels. A strip whose back is visible hides the strips behind it."""
    first, second = seen[1] - seen[0], seen[3] - seen[0]
    front = first[0] * second[1] - first[1] * second[0] > 0
    low = np.clip(np.floor(seen.min(axis=0)).astype(int), 0, FRAME)
    high = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 1, 0, FRAME)
    if (high <= low).any():
        return
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(seen - low.astype(np.float32)).astype(np.int32), 1)
    rows, columns = np.nonzero(mask)
    back = cv2.getPerspectiveTransform(seen, source) if front else None
    points = np.stack([columns + low[0], rows + low[1], np.ones(len(rows))])
    x, y, w = (-1e4, -1e4, 1) if back is None else back @ points
    map_x[rows + low[1], columns + low[0]], map_y[rows + low[1], columns + low[0]] = x / w, y / w


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    turned = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitched = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ pitched @ turned


def _files(folder: Path, count: int) -> list[Path]:
    files = sorted(folder.rglob("*.jpg"))
    return files[:: max(len(files) // count, 1)][:count]


if __name__ == "__main__":
    main()
