"""Training views for distillation: shown on made-up prints and screens, degraded, and scored by public networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from _runs import HELD_OUT
from facepad.datasets.manifest import read_manifest
from facepad.faces import crop
from facepad.media.images import image_size, read_image
from facepad.modelfile.catalog import find_model
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import BundleScorer
from facepad.recapture import PRINT_FAMILIES, print_recapture, sample_print, sample_screen, screen_recapture
from facepad.runtime.progress import progress_bar
from facepad.training.augment import FAMILIES, Augmentation
from facepad.types import Box, Label

Image = NDArray[np.uint8]
Rng = np.random.Generator

#: Side of a view in face squares. The crops of all networks lie inside.
REACH = 3.8
#: Kinds of presentations in the training part. The held-out part has the other kinds.
KINDS = tuple(kind for kind in FAMILIES if kind not in HELD_OUT)
NEUTRAL = Augmentation(("mirror", "light", "blur", "resolution", "noise", "jpeg"))
HELD_OUT_PEOPLE = ("0005", "0009", "0012")  # of NUAA
#: Smallest part of a portrait's crop that must lie inside the image. Most portraits are cut too close to the face.
INSIDE = 0.6
VIEWS = 7500
SOURCES = ("portrait", "portrait, presented", "NUAA, bona fide", "NUAA, presented", "NUAA, attack")


@dataclass(frozen=True)
class Views:
    """Crops with their labels.

    Attributes:
        pixels: uint8 RGB ``(N, 128, 128, 3)``.
        source: Index into `SOURCES`, ``(N,)``.
        held_out: Whether the view shows a person who is not in the training part, ``(N,)``.
        teachers: The logits of each public network, ``(N,)`` per name.
    """

    pixels: Image
    source: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    teachers: Mapping[str, NDArray[np.float64]]

    @property
    def bona_fide(self) -> NDArray[np.bool_]:
        """Whether each view is bona fide, ``(N,)``."""
        return np.isin(self.source, (0, 2))


@dataclass(frozen=True)
class Origin:
    path: Path
    box: Box
    held_out: bool
    person: str


def make_views(
    nuaa: Path, portraits: Path, teachers: Mapping[str, str], spec: PreprocessSpec, count: int, out: Path
) -> Views:
    """Make ``count`` views, the same number from each source, and keep them in the file ``out``."""
    if not out.exists():
        scorers = {
            name: BundleScorer(find_model(model).read(), engine="openvino", threads=1)
            for name, model in teachers.items()
        }
        origins = find_origins(nuaa, portraits, spec)
        columns: dict[str, list[object]] = {
            "pixels": [],
            "source": [],
            "held_out": [],
            **{name: [] for name in teachers},
        }
        with progress_bar("views", count, shown=True) as advance:
            for number in range(count):
                source = number % len(SOURCES)
                image, box, held_out = _view(origins, source, np.random.default_rng([11, number]))
                columns["pixels"].append(spec.apply(image, box))
                columns["source"].append(source)
                columns["held_out"].append(held_out)
                for name, scorer in scorers.items():
                    columns[name].append(scorer.score([scorer.prepare(image, box)]).logits[0])
                advance()
        np.savez(out, **{name: np.array(values) for name, values in columns.items()})
    with np.load(out) as kept:
        logits = {name: kept[name] for name in teachers}
        return Views(kept["pixels"], kept["source"], kept["held_out"], logits)


def find_origins(nuaa: Path, portraits: Path, spec: PreprocessSpec) -> list[list[Origin]]:
    """The images of each kind of origin: wide portraits, all portraits, bona fide images of NUAA, attacks of NUAA."""
    found: list[list[Origin]] = [[], [], [], []]
    for kind, manifest in ((1, portraits), (2, nuaa)):
        for number, sample in enumerate(read_manifest(manifest)):
            if sample.box is None:
                continue
            held_out = number % 5 == 0 if kind == 1 else sample.subject in HELD_OUT_PEOPLE
            origin = Origin(manifest.parent / sample.path, sample.box, held_out, sample.subject)
            found[kind if sample.label is Label.BONA_FIDE else 3].append(origin)
            if kind == 1 and _inside(origin, spec) >= INSIDE:
                found[0].append(origin)
    return found


def _inside(origin: Origin, spec: PreprocessSpec) -> float:
    """The part of the networks' crop that lies inside the image."""
    height, width = image_size(origin.path)
    box, scale = origin.box, spec.crop_scale or 1.0
    side = scale * box.width
    left = (box.x1 + box.x2 - side) / 2 + spec.shift[0] * box.width
    top = (box.y1 + box.y2 - side) / 2 + spec.shift[1] * box.width
    across, down = min(left + side, width) - max(left, 0), min(top + side, height) - max(top, 0)
    return across * down / side**2


def view_people(origins: Sequence[Sequence[Origin]], count: int) -> tuple[str, ...]:
    """The person in the middle of each of the first ``count`` views of `make_views`."""
    numbers = ((number % len(SOURCES), np.random.default_rng([11, number])) for number in range(count))
    return tuple(_origin(origins, source, rng).person for source, rng in numbers)


def _origin(origins: Sequence[Sequence[Origin]], source: int, rng: Rng) -> Origin:
    """The origin of a view: the first draw of its generator."""
    kind = (0, 1, 2, 2, 3)[source]
    return origins[kind][int(rng.integers(len(origins[kind])))]


def _view(origins: Sequence[Sequence[Origin]], source: int, rng: Rng) -> tuple[Image, Box, bool]:
    """One view, its face square, and whether its person is held out."""
    origin = _origin(origins, source, rng)
    side = int(rng.integers(200, 440))
    image, box = _read(origin.path), _moved(origin.box, rng)
    if source in (1, 3):
        other = origins[0][int(rng.integers(len(origins[0])))]
        behind = crop(_read(other.path), other.box, scale=REACH, size=(side, side))
        view = present(image, box, behind, HELD_OUT if origin.held_out else KINDS, rng)
    else:
        view = crop(image, box, scale=REACH, size=(side, side))
    half, middle = side / REACH / 2, side / 2
    return degrade(view, rng), Box(middle - half, middle - half, middle + half, middle + half), origin.held_out


@lru_cache(maxsize=64)
def _read(path: Path) -> Image:
    return read_image(path)


def _moved(box: Box, rng: Rng) -> Box:
    """The box with a small error, like that of a detector."""
    moved = box.shifted(*(rng.normal(0, 0.03, 2) * box.width))
    wider = moved.width * float(rng.normal(0, 0.03)) / 2
    return Box(moved.x1 - wider, moved.y1 - wider, moved.x2 + wider, moved.y2 + wider)


def present(image: Image, box: Box, behind: Image, kinds: Sequence[str], rng: Rng) -> Image:
    """Show a face on a print or screen in front of a background of the view's size. The face stays in the middle."""
    side = behind.shape[0]
    cut = min(float(rng.uniform(1.3, REACH)), max(_room(image, box), 1.2))
    size = max(64, round(side * cut / REACH))
    shown = crop(image, box, scale=cut, size=(size, size))
    kind = kinds[int(rng.integers(len(kinds)))]
    scale = cut / REACH * float(rng.uniform(0.93, 1.07))
    if kind in PRINT_FAMILIES:
        print_ = sample_print(rng, kind)
        print_ = replace(print_, placement=replace(print_.placement, scale=scale, shift=(0.0, 0.0)))
        return print_recapture(shown, rng, print_, output_size=(side, side), background=behind)
    screen = sample_screen(rng, kind)
    screen = replace(screen, placement=replace(screen.placement, scale=scale, shift=(0.0, 0.0)))
    return screen_recapture(shown, rng, screen, output_size=(side, side), background=behind)


def _room(image: Image, box: Box) -> float:
    """Side of the largest square around the face that lies inside the image, in face squares."""
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return 2 * min(x, image.shape[1] - x, y, image.shape[0] - y) / box.width


def degrade(view: Image, rng: Rng) -> Image:
    """The effects of cameras, for both classes: a quarter of the views stays, and a half looks like a bad webcam."""
    choice = rng.random()
    if choice < 0.25:
        return view
    view = NEUTRAL(_colours(view, rng), rng.integers(0, 2**31, 2).tolist(), bona_fide=True)
    return _webcam(view, rng) if choice < 0.75 else view


def _colours(view: Image, rng: Rng) -> Image:
    """Change hue and saturation."""
    hsv = cv2.cvtColor(view, cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + int(rng.integers(-8, 9))) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.6, 1.4), 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _webcam(view: Image, rng: Rng) -> Image:
    """Few pixels, noise with the size of several pixels, and strong compression."""
    side = view.shape[0]
    small = int(side * rng.uniform(0.3, 1.0))
    view = cv2.resize(view, (small, small), interpolation=cv2.INTER_AREA).astype(np.uint8)
    grain = rng.normal(0, rng.uniform(0, 10), (small, small, 3)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.3, 1.0)) * 1.5
    view = np.clip(view + grain, 0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])
    view = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return np.asarray(cv2.resize(view, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
