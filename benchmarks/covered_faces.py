"""Measure whether the face mesh or YuNet can tell that a face is covered.

    FACEPAD_MODELS=DIR python benchmarks/covered_faces.py MANIFEST... --covered FOLDER [--images 120]

Prints, for a few shares of refused uncovered faces (the bona fide images of the manifests), the share of covered faces
that the same limit refuses. FOLDER has images of people with masks. The script also covers the faces of the manifests:
with one colour over the eyes, over mouth and chin, or over one half. It stores no image.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from _common import made_by, markdown, parser, publish
from facepad.datasets.manifest import read_manifest, resolve
from facepad.depth.facemesh import FACEMESH
from facepad.depth.raster import EXTENT
from facepad.errors import ImageError
from facepad.faces import crop
from facepad.faces.geometry import limit_size
from facepad.faces.yunet import YuNetDetector
from facepad.files.downloads import fetch
from facepad.media.images import read_image
from facepad.types import Face, Label

Image = NDArray[np.uint8]

LONGEST, SMALLEST = 1280, 48  # longest side of the images, and shortest side of the face squares, in pixels
REFUSED = (0.01, 0.02, 0.05)
# The painted part of the face square: left, top, right and bottom, in sides of the square.
COVERS = {"eyes": (0, 0.2, 1, 0.48), "mouth and chin": (0, 0.58, 1, 1.1), "one half": (0, 0, 0.5, 1)}


class Measures:
    """The confidence of YuNet, and the face mesh's logit of "this is a face"."""

    def __init__(self) -> None:
        self.detector = YuNetDetector()
        self.mesh = Interpreter(model_path=str(fetch(FACEMESH)))
        self.mesh.allocate_tensors()
        (self.input,) = (entry["index"] for entry in self.mesh.get_input_details())
        outputs = {int(np.prod(entry["shape"])): entry["index"] for entry in self.mesh.get_output_details()}
        self.presence = outputs[1]

    def face(self, image: Image) -> Face | None:
        """The most prominent face; None if there is none, or a small one."""
        faces = self.detector.detect(image)
        return faces[0] if faces and faces[0].box.width >= SMALLEST else None

    def of(self, image: Image) -> tuple[float, float] | None:
        """Confidence and logit; None without a face."""
        face = self.face(image)
        if face is None:
            return None
        pixels = crop(image, face.box, scale=EXTENT, size=(192, 192), border="constant")
        self.mesh.set_tensor(self.input, np.asarray(pixels / 255, dtype=np.float32)[None])
        self.mesh.invoke()
        return face.confidence, float(self.mesh.get_tensor(self.presence).item())


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("manifests", nargs="+", type=Path, help="manifest.csv")
    options.add_argument("--covered", type=Path, required=True, help="folder of images of covered faces")
    options.add_argument("--images", type=int, default=120, help="images of each manifest and of the folder")
    arguments = options.parse_args(words)
    measures, found = Measures(), defaultdict(list)
    for manifest in arguments.manifests:
        for image in uncovered(manifest, arguments.images):
            found["uncovered"].append(measures.of(image))
            if (face := measures.face(image)) is not None:
                for name, part in COVERS.items():
                    found[f"{name} painted over"].append(measures.of(painted(image, face, part)))
    for image in images(sorted(arguments.covered.rglob("*")), arguments.images):
        found["with a mask"].append(measures.of(image))
    command = f"python benchmarks/covered_faces.py MANIFEST ... --covered FOLDER --images {arguments.images}"
    publish(f"{made_by(command)}\n\n{table(found)}", None)


def table(found: dict[str, list[tuple[float, float] | None]]) -> str:
    """The share of each group that a limit refuses. A face that YuNet misses is not counted."""
    groups = {name: np.array([one for one in values if one is not None]) for name, values in found.items()}
    rows = []
    for column, measure in enumerate(("confidence of YuNet", "logit of the face mesh")):
        for share in REFUSED:
            limit = np.quantile(groups["uncovered"][:, column], share)
            shares = [f"{np.mean(values[:, column] < limit):.0%}" for values in groups.values()]
            rows.append((measure, f"{limit:.2f}", *shares))
    missed = [f"{sum(one is None for one in values)} of {len(values)}" for values in found.values()]
    return markdown(["measure", "limit", *groups], [*rows, ("no face found", "", *missed)])


def uncovered(manifest: Path, count: int) -> Iterator[Image]:
    """Bona fide images of a manifest."""
    samples = [one for one in read_manifest(manifest) if one.label is Label.BONA_FIDE]
    for one in random.Random(0).sample(samples, min(count, len(samples))):
        yield limit_size(read_image(resolve(manifest, one)), LONGEST)


def images(paths: Sequence[Path], count: int) -> Iterator[Image]:
    """Images among the files."""
    files = [path for path in paths if path.is_file()]
    for path in random.Random(0).sample(files, min(count, len(files))):
        try:
            yield limit_size(read_image(path), LONGEST)
        except ImageError:
            continue


def painted(image: Image, face: Face, part: tuple[float, float, float, float]) -> Image:
    """The image with the median colour of the face over a part of its square."""
    (x1, y1), side = face.box.xyxy[:2], face.box.width
    left, top, right, bottom = (
        max(0, round(start + share * side)) for start, share in zip((x1, y1, x1, y1), part, strict=True)
    )
    covered = image.copy()
    square = crop(image, face.box, scale=1.0, size=(64, 64)).reshape(-1, 3)
    covered[top:bottom, left:right] = np.median(square, axis=0)
    return covered


if __name__ == "__main__":
    main()
