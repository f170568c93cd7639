"""Measure the depth labellers on a manifest: time, correlation with the template, and images without a found face.

    python benchmarks/depth.py nuaa/manifest.csv [--out docs/results/depth.md]

Each labeller makes the depth maps of all bona fide images with a face square. The maps are in a temporary folder.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from _common import made_by, markdown, parser, publish
from facepad.datasets.manifest import read_manifest, resolve, write_manifest
from facepad.depth import make_depth

ENGINES = ("facemesh", "template")


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("manifest", type=Path)
    options.add_argument("--out", type=Path)
    options.add_argument("--engines", nargs="+", default=ENGINES, choices=ENGINES, metavar="ENGINE")
    arguments = options.parse_args(words)
    command = f"python benchmarks/depth.py {arguments.manifest.parent.name}/{arguments.manifest.name}"
    columns = ["labeller", "maps", "seconds", "maps/s", "images without a found face (map of the template)"]
    columns.append("median correlation with the template")
    rows = [_row(arguments.manifest, engine) for engine in arguments.engines]
    text = (
        f"# Depth labels\n\n{made_by(command)}. The table counts the maps of all bona fide images of the manifest. "
        f"The time includes reading the images and storing the maps.\n\n{markdown(columns, rows)}"
    )
    publish(text, arguments.out)


def _row(manifest: Path, engine: str) -> tuple[object, ...]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "manifest.csv")
        samples = [
            replace(sample, path=os.path.relpath(resolve(manifest, sample).resolve(), Path(folder).resolve()))
            for sample in read_manifest(manifest)
        ]
        write_manifest(copy, samples)
        started = time.perf_counter()
        done = make_depth(copy, labeller=engine)
        seconds = time.perf_counter() - started
    agreement = "" if done.agreement is None else f"{done.agreement:.2f}"
    return engine, done.made, f"{seconds:.0f}", f"{done.made / seconds:.0f}", len(done.fell_back), agreement


if __name__ == "__main__":
    main()
