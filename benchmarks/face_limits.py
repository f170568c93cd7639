"""Measure what roll, yaw and the image border do to faces and scores, and how often an array looks like BGR.

    FACEPAD_MODELS=DIR python benchmarks/face_limits.py MANIFEST... [--images 15] [--model NAME]... [--out PAGE]

Writes Markdown tables for a sample of each class of each manifest. The limits of `facepad.faces.quality.Quality` come
from these tables. The script needs the model files of YuNet and, for the yaw, of the face mesh. It stores no image.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from _common import made_by, markdown, parser, publish
from facepad.datasets.manifest import read_manifest, resolve
from facepad.faces.geometry import limit_size
from facepad.faces.quality import Quality
from facepad.faces.yunet import YuNetDetector
from facepad.media.images import read_image
from facepad.modelfile.catalog import DEFAULT_MODEL, find_model
from facepad.predict.inputs import looks_like_bgr
from facepad.predict.pipeline import Pipeline
from facepad.service.poses import PoseEstimator
from facepad.types import Box, Decision, FaceQuality, Label, Reason

Image = NDArray[np.uint8]

LONGEST, SMALLEST = 1280, 48  # longest side of the images, and shortest side of the face squares, in pixels
ROLLS = (0, 5, -5, 10, -10, 20, -20, 30, -30, 45, -45, 60, 90, 180)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
YAWS = (0, 10, 20, 30, 40, 90)
MODELS = (DEFAULT_MODEL, "distilled-research")
LENIENT = Quality(None, None, None, None, None, None, None)
INTRODUCTION = """<!-- written by benchmarks/face_limits.py; do not edit by hand -->
# Limits of roll, yaw and the border

{made_by}

{bona_fide} bona fide images and {attack} attacks: NUAA (prints), an office (prints), two webcams (a phone's screen),
web portraits and the synthetic set. YuNet finds the faces. Images are rotated as a whole about the face, clockwise for
a positive roll. "changed" is the share of decisions that differ from those on the unchanged images. "measured" is the
median, with the 5th and 95th percentile. The limits are those of `facepad.faces.quality.Quality`. The first three
tables describe the unchanged images.

"""


@dataclass(frozen=True, slots=True)
class Shown:
    """An image with its label and the square of its first face."""

    image: Image
    label: Label
    box: Box


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("manifests", nargs="+", type=Path, help="manifest.csv")
    options.add_argument("--images", type=int, default=15, help="images of each class of a manifest (default: 15)")
    options.add_argument("--model", action="append", help=f"name of a model (default: {', '.join(MODELS)})")
    options.add_argument("--out", type=Path, help="file for the page")
    arguments = options.parse_args(words)
    shown = [one for manifest in arguments.manifests for one in sample(manifest, arguments.images)]
    models = arguments.model or MODELS
    command = f"python benchmarks/face_limits.py MANIFEST ... --images {arguments.images}"
    parts = [
        INTRODUCTION.format(
            made_by=made_by(command), bona_fide=count(shown, Label.BONA_FIDE), attack=count(shown, Label.ATTACK)
        )
    ]
    parts += [unchanged(shown), yaws(shown)]
    for name in models:
        pipeline = Pipeline(find_model(name).read(), detector="yunet", quality=LENIENT, threads=1)
        parts += [f"## {name}, after a rotation\n\n", changes(pipeline, shown, "roll", ROLLS, rolled)]
        parts += [f"\n## {name}, after a rotation, then made upright by the measured roll\n\n"]
        parts += [changes(pipeline, shown, "roll", ROLLS[:-3], made_upright)]
        parts += [f"\n## {name}, cut at the left\n\n", changes(pipeline, shown, "outside", SHARES, cut), "\n"]
    publish("".join(parts), arguments.out)


def count(shown: Sequence[Shown], label: Label) -> int:
    """The number of images with a label."""
    return sum(one.label is label for one in shown)


@cache
def yunet() -> YuNetDetector:
    """The detector, loaded once."""
    return YuNetDetector()


def sample(manifest: Path, count: int) -> Iterator[Shown]:
    """At most ``count`` images of each label in which YuNet finds a face that is not small."""
    detector, rng = yunet(), random.Random(0)
    for label in Label:
        samples = [one for one in read_manifest(manifest) if one.label is label]
        for one in rng.sample(samples, min(count, len(samples))):
            image = limit_size(read_image(resolve(manifest, one)), LONGEST)
            faces = detector.detect(image)
            if faces and faces[0].box.width >= SMALLEST:
                yield Shown(image, label, faces[0].box)


def unchanged(shown: Sequence[Shown]) -> str:
    """The percentiles of the measured values, the refused faces, and the images that look like BGR."""
    pipeline = Pipeline(find_model(MODELS[-1]).read(), detector="yunet", quality=LENIENT, threads=1)
    found = [quality for one in shown if (quality := pipeline.examine(one.image).faces[0].quality)]
    rows = []
    for name, reason in (("roll", "tilted"), ("yaw", "turned"), ("outside", "face_at_border")):
        values = [abs(getattr(quality, name)) for quality in found]
        refused = sum(reason in Quality().reasons(quality) for quality in found)
        rows.append((name, *(f"{value:.2f}" for value in np.percentile(values, (50, 95, 99))), reason, refused))
    text = markdown(["magnitude", "median", "95 %", "99 %", "reason", "refused faces"], rows) + "\n"
    colours = []
    for label in Label:
        of_label = [one for one in shown if one.label is label]
        rgb = sum(looks_like_bgr(one.image, one.box) for one in of_label)
        bgr = sum(looks_like_bgr(one.image[..., ::-1], one.box) for one in of_label)
        colours.append((label, len(of_label), rgb, bgr))
    return text + markdown(["label", "images", "look like BGR", "look like BGR with swapped channels"], colours) + "\n"


def changes(
    pipeline: Pipeline,
    shown: Sequence[Shown],
    name: str,
    steps: Sequence[float],
    change: Callable[[Shown, float], Image],
) -> str:
    """For each step of a change: faces found, measured values, refused faces, accepted images, changed decisions."""
    before: list[Decision] = []
    rows = []
    for step in steps:
        decided = [first(pipeline, change(one, step)) for one in shown]
        before = before or decided
        found = [decision.quality for decision in decided if decision.quality is not None]
        median, low, high = spread([measure(quality, name) for quality in found])
        reason = Reason.TILTED if name == "roll" else Reason.FACE_AT_BORDER
        refused = np.mean([reason in Quality().reasons(quality) for quality in found])
        row = [
            f"{step:g}",
            f"{len(found) / len(shown):.0%}",
            f"{median:.2f} ({low:.2f} to {high:.2f})",
            f"{refused:.0%}",
        ]
        for label in Label:
            pairs = [
                (old.label is Label.BONA_FIDE, new.label is Label.BONA_FIDE)
                for one, old, new in zip(shown, before, decided, strict=True)
                if one.label is label and old.label and new.label
            ]
            row += [f"{np.mean([new for _, new in pairs]):.0%}", f"{np.mean([old != new for old, new in pairs]):.0%}"]
        rows.append(row)
    header = [name, "found", "measured", f"{reason}", "bona fide accepted", "changed", "attacks accepted", "changed"]
    return markdown(header, rows)


def measure(quality: FaceQuality, name: str) -> float:
    """The measured roll, or the share outside the image."""
    value = quality.roll if name == "roll" else quality.outside
    return 0.0 if value is None else value


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, 5th and 95th percentile."""
    low, median, high = np.percentile(values, (5, 50, 95))
    return float(median), float(low), float(high)


def first(pipeline: Pipeline, image: Image) -> Decision:
    """The decision on the most prominent face."""
    return pipeline.decide([pipeline.examine(image)])[0][0]


def rolled(one: Shown, angle: float) -> Image:
    """The image, rotated clockwise about its face."""
    if not angle:
        return one.image
    turn = cv2.getRotationMatrix2D(one.box.center, -angle, 1)
    size = one.image.shape[1::-1]
    return np.asarray(cv2.warpAffine(one.image, turn, size, borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)


def made_upright(one: Shown, angle: float) -> Image:
    """The rotated image, rotated back by the roll that its landmarks show."""
    image, detector = rolled(one, angle), yunet()
    faces = detector.detect(image)
    angles = detector.angles(image, faces[0]) if faces else None
    return image if angles is None else rolled(Shown(image, one.label, faces[0].box), -angles.roll)


def cut(one: Shown, share: float) -> Image:
    """The image, cut at its left so that a share of the face square lies outside."""
    left = max(0, round(one.box.x1 + share * one.box.width)) if share else 0
    return np.ascontiguousarray(one.image[:, left:])


def yaws(shown: Sequence[Shown]) -> str:
    """The yaw of the landmarks beside the yaw of the face mesh."""
    detector, mesh = yunet(), PoseEstimator()
    pairs = []
    for one in shown:
        face, pose = detector.detect(one.image)[0], mesh.estimate(0.0, one.image)
        if pose is not None and (angles := detector.angles(one.image, face)):
            pairs.append((pose.yaw, angles.yaw))
    rows = []
    for low, high in pairwise(YAWS):
        values = [seen * np.sign(true) for true, seen in pairs if low <= abs(true) < high]
        if values:
            rows.append((f"{low} to {high}", len(values), "{:.0f} ({:.0f} to {:.0f})".format(*spread(values))))
    return markdown(["yaw of the face mesh", "faces", "yaw of the landmarks: median (5 to 95 %)"], rows) + "\n"


if __name__ == "__main__":
    main()
