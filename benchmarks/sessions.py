"""Attack the sessions of the service: python benchmarks/sessions.py [--cases N] [--seed N] [--redis URL] [--out FILE]

Prints a Markdown page. The service runs in this process, with the shipped model. The attacks replay, change, steal,
race and forge upload tokens, results, signed results and webhooks. None may be accepted.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import facepad
from _common import made_by, markdown, packages, parser, publish
from facepad.datasets.synthetic import SyntheticSet, generate
from session_attacks import attack


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--cases", type=int, default=10_000, help="number of attacks (default: 10000)")
    options.add_argument("--seed", type=int, default=0, help="seed of the attacks (default: 0)")
    options.add_argument("--redis", metavar="URL", help="Redis server for the store; the default is a store in memory")
    options.add_argument("--out", type=Path, help="also write the page to this file")
    chosen = options.parse_args(words)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sample = generate(Path(folder) / "people", SyntheticSet(subjects=4, images_per_subject=4), jobs=1)[0]
        picture = (Path(folder) / "people" / sample.path).read_bytes()
        model = facepad.load("nuaa-research")
        found = asyncio.run(attack(model, picture, Path(folder), chosen.cases, seed=chosen.seed, store=chosen.redis))
    seconds = time.perf_counter() - started
    accepted = sum(row[2] for row in found)
    where = "Redis" if chosen.redis else "memory"
    command = f"python benchmarks/sessions.py --cases {chosen.cases} --seed {chosen.seed}"
    text = (
        "<!-- written by benchmarks/sessions.py --out -->\n# Attacks on sessions\n\n"
        f"{made_by(command)}, {packages('fastapi', 'PyJWT', 'cryptography')}.\n"
        f"{chosen.cases} generated attacks in {seconds:.0f} s, with a store in {where}: "
        f"**{accepted} accepted**.\nIn a race, the one use that is right does not count. Before and after the attacks, "
        "the service accepts the right uploads,\nand the client accepts their signed results.\n\n"
    )
    publish(text + markdown(["attack", "attacks", "accepted"], found), chosen.out)
    if accepted:
        sys.exit(1)


if __name__ == "__main__":
    main()
