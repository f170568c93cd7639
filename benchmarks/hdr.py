"""Read HEIC files in HDR of 48 megapixels: python benchmarks/hdr.py [--out FILE]

Prints a Markdown page. The files are generated: 10 bits, PQ or HLG, in tiles of 512 pixels as from a phone. The picture
has structures of all sizes.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray

from _common import made_by, markdown, packages, parser, publish, timed
from facepad.media.images import read_image

WIDTH, HEIGHT = 8064, 6048
STRUCTURES = ((16, 0.35), (64, 0.18), (256, 0.08), (1024, 0.04), (4032, 0.02))  # number in a row, and contrast
TRANSFERS = {"PQ": 16, "HLG": 18}
BT2020, TILE = 9, 512
REPEAT, AIM = 5, 3.0  # timed runs, and seconds


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help="also write the page to this file")
    chosen = options.parse_args(words)
    file, rows = heic(picture()), []
    for name, transfer in TRANSFERS.items():
        content = with_transfer(file, transfer)
        read_image(content)  # Not counted: it loads libraries and tables.
        ways = [partial(decode, content), partial(read_image, content)]
        runs = [[timed(way) for way in ways] for _ in range(REPEAT)]
        alone, whole = map(statistics.median, zip(*runs, strict=True))
        rows.append((name, f"{alone:.2f}", f"{whole:.2f}", "yes" if whole <= AIM else "**no**"))
    columns = ["HDR", "libheif alone, s", "whole, s", f"at most {AIM:g} s"]
    text = (
        "<!-- written by benchmarks/hdr.py --out -->\n# Reading large HDR pictures\n\n"
        f"{made_by('python benchmarks/hdr.py')}, {packages('pillow', 'pillow_heif')}.\n"
        f"HEIC of {WIDTH}x{HEIGHT} pixels, 10 bits and {len(file) / 1e6:.1f} MB. *Whole* is `read_image`, from the\n"
        f"bytes to the picture in SDR. The seconds are medians of {REPEAT} runs.\n\n"
    )
    publish(text + markdown(columns, rows), chosen.out)


def picture() -> NDArray[np.uint16]:
    """A picture with structures of all sizes, of 16 bits per channel."""
    rng, signal = np.random.default_rng(0), np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for across, contrast in STRUCTURES:
        coarse = rng.random((across * HEIGHT // WIDTH, across, 3), np.float32)
        signal += contrast * cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return (np.clip(signal, 0, 1) * 65535).astype(np.uint16)


def heic(signal: NDArray[np.uint16]) -> bytes:
    """A HEIC file in PQ."""
    content = io.BytesIO()
    image = pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), signal.tobytes())
    image.save(
        content,
        quality=80,
        tile_size=TILE,
        color_primaries=BT2020,
        matrix_coefficients=BT2020,
        transfer_characteristics=TRANSFERS["PQ"],
        enc_params={"preset": "ultrafast"},
    )
    return content.getvalue()


def with_transfer(content: bytes, transfer: int) -> bytes:
    """The file with another code of its transfer function."""
    place = content.index(b"nclx") + 6
    return content[:place] + transfer.to_bytes(2, "big") + content[place + 2 :]


def decode(content: bytes) -> object:
    """The picture as libheif decodes it, still in HDR."""
    return pillow_heif.open_heif(content, convert_hdr_to_8bit=True).data


if __name__ == "__main__":
    main()
