"""Time and memory of a new facepad process: python benchmarks/cold_start.py [IMAGE] [--repeat 20]

Prints a Markdown table. It compares `facepad predict` of one image, with the shipped model, with a process that only
imports the packages that the command needs. The processes take turns. The default image is a procedural face of 640x480
pixels. `latency.py` prints the same table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from _common import parser
from _faces import picture, portraits
from _processes import command_table


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("image", type=Path, nargs="?", help="default: a procedural face")
    options.add_argument("--repeat", type=int, default=20, help="rounds (default: 20)")
    chosen = options.parse_args(words)
    with tempfile.TemporaryDirectory() as name:
        image = chosen.image
        if image is None:
            image = Path(name, "face.jpg")
            picture(image, portraits(Path(name, "people")))
        print(command_table(image, chosen.repeat))


if __name__ == "__main__":
    main()
