"""Depth labels of a data set: time, agreement, and faces that an engine does not see.

    python benchmarks/depth.py nuaa/manifest.csv [--out docs/results/depth.md]

Makes all maps of a manifest anew, with the face mesh and with the template, in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from facepad.datasets.manifest import read_manifest, resolve, write_manifest
from facepad.depth import make_depth
from facepad.runtime.parallel import available_cpus
from nuaa import commit

ENGINES = ("facemesh", "template")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = [
        "# Depth labels",
        "",
        f"`python benchmarks/depth.py {arguments.manifest.parent.name}/{arguments.manifest.name}`, "
        f"{time.strftime('%Y-%m-%d')}, commit {commit()}: {platform.machine()}, {available_cpus()} processors, Python "
        f"{platform.python_version()}. All bona fide images of the manifest, from the files to the stored maps.",
        "",
        "| engine | maps | seconds | maps a second | no face seen: template | median correlation with the template |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(arguments.manifest, engine) for engine in ENGINES]
    text = "\n".join(lines)
    print(text)
    if arguments.out:
        arguments.out.write_text(f"{text}\n", encoding="utf-8")


def _row(manifest: Path, engine: str) -> str:
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
    return (
        f"| {engine} | {done.made} | {seconds:.0f} | {done.made / seconds:.0f} | {len(done.fell_back)} | {agreement} |"
    )


if __name__ == "__main__":
    main()
