"""Decide on JPEGs of 50 megapixels at full and at half size: python benchmarks/reduced_decoding.py [--out FILE]

Prints a Markdown page. The pictures are enlarged pictures of procedural people, with noise. libjpeg decodes a JPEG at
half size in less time than at full size.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import facepad
from _common import made_by, markdown, packages, parser, publish
from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.media.images import read_image
from facepad.predict.pipeline import Pipeline

WIDTH, HEIGHT = 8160, 6120
PICTURES, NOISE = 8, 6  # number of pictures, and the largest change of a grey level
SIZES = (("full", None), ("half", (HEIGHT // 2, HEIGHT // 2)))


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help="also write the page to this file")
    chosen = options.parse_args(words)
    pipeline = facepad.load("nuaa-research", threads=1).pipeline
    rows, scores = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(pictures(pipeline, Path(folder))):
            results = [decide(pipeline, content, least) for _, least in SIZES]
            scores.append([result[-1] for result in results])
            for (size, _), (shape, read, examined, score) in zip(SIZES, results, strict=True):
                mib = shape[0] * shape[1] * 3 / 2**20
                rows.append((number, size, f"{mib:.0f}", f"{read:.2f}", f"{examined:.2f}", f"{score:.4f}"))
    change = max(abs(full - half) for full, half in scores)
    columns = ["picture", "size", "MiB", "decoding, CPU s", "face and score, CPU s", "score"]
    text = (
        "<!-- written by benchmarks/reduced_decoding.py --out -->\n# Decoding at half size\n\n"
        f"{made_by('python benchmarks/reduced_decoding.py')}, {packages('pillow', 'dlib-bin', 'onnxruntime')}.\n"
        f"JPEGs of {WIDTH}x{HEIGHT} pixels. The largest change of a score is {change:.3f}.\n\n"
    )
    publish(text + markdown(columns, rows), chosen.out)


def pictures(pipeline: Pipeline, folder: Path) -> Iterator[bytes]:
    """JPEGs in which the detector finds a face."""
    samples = generate(folder / "people", SyntheticSet(subjects=6, images_per_subject=6), jobs=1)
    found = 0
    for sample in samples:
        picture = read_image(folder / "people" / sample.path)
        if found < PICTURES and any(face.crops is not None for face in pipeline.examine(picture).faces):
            found += 1
            yield enlarged(picture, found)


def enlarged(picture: NDArray[np.uint8], seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    large = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for rows in np.array_split(large, 10):  # views of the picture, which need less memory at once
        rows[:] = np.clip(rows + rng.integers(-NOISE, NOISE + 1, rows.shape, np.int16), 0, 255)
    content = io.BytesIO()
    Image.fromarray(large).save(content, "JPEG", quality=90)
    return content.getvalue()


def decide(
    pipeline: Pipeline, content: bytes, least: tuple[int, int] | None
) -> tuple[tuple[int, ...], float, float, float]:
    """The shape of the decoded picture, CPU seconds of decoding, CPU seconds of all else, and the score."""
    start = time.process_time()
    image = read_image(content, min_size=least)
    decoded = time.process_time()
    [decisions] = pipeline.decide([pipeline.examine(image)])
    score = decisions[0].score
    assert score is not None, "the face of a picture was not scored"
    return image.shape, decoded - start, time.process_time() - decoded, score


if __name__ == "__main__":
    main()
