"""The commands that the chaos benchmark disturbs, each on a small input: how to run them, and what they must leave."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from _disturb import Process

UNDECIDED = 3  # the exit code of a bulk run with undecided images
_IMAGES_OF_SERVE = 12
_REFUSALS = 50  # refusals in a row after which the client of `serve` has it started again
_LONGEST = 180.0  # seconds after which an attempt counts as a hang


def make_inputs(folder: Path) -> int:
    """Write the inputs of all commands: a data set, a manifest without boxes, a recipe, a site and its network."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from facepad.datasets.manifest import write_manifest
    from facepad.datasets.synthetic import SyntheticSet, generate
    from helpers.adapting import tiny_model, tiny_site
    from helpers.recipes import TWO_STAGES

    samples = generate(folder / "set", SyntheticSet(subjects=6, images_per_subject=6, size=(240, 320)), jobs=1)
    write_manifest(folder / "set" / "manifest.csv", samples)
    write_manifest(folder / "set" / "plain.csv", [replace(sample, box=None) for sample in samples])
    (folder / "quick.toml").write_text(TWO_STAGES, encoding="utf-8")
    tiny_site(folder / "site")
    tiny_model(folder / "home")
    return 0


def facepad(*words: object) -> int:
    """Run a facepad command in this process, and return the exit code."""
    from facepad.cli import main

    sys.argv = ["facepad", *map(str, words)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@dataclass(frozen=True)
class Attempt:
    """One start of a command.

    Attributes:
        inputs: Folder of the inputs.
        out: Output folder. If it holds an unfinished run, the run continues.
        log: File for the command's messages.
        seconds: The command is killed after this time.
        disturb: Called in the command's process before the command.
    """

    inputs: Path
    out: Path
    log: Path
    seconds: float = _LONGEST
    disturb: Callable[[], None] | None = None


@dataclass(frozen=True)
class Job:
    """A command.

    Attributes:
        name: Name of the command.
        run: Starts the command, and gives the exit code, or None if the command was killed.
        rows: The units of work in the output. None may be missing, and none may be there twice.
        share: Share of the kills; smaller for slow commands.
        files: The output files whose bytes must be equal.
        last: The file that is written last, after which the command refuses to run again.
    """

    name: str
    run: Callable[[Attempt], int | None]
    rows: Callable[[Path], list[str]]
    share: float
    files: Sequence[str] = ()
    last: str = ""

    def is_finished(self, out: Path) -> bool:
        """Whether the output is complete, although the command may have been killed before its end."""
        return bool(self.last) and (out / self.last).exists()

    def left(self, out: Path) -> dict[str, object]:
        """The rows of the output, and one hash of rows and files, as JSON values."""
        rows = self.rows(out)
        whole = hashlib.sha256("\n".join(sorted(rows)).encode())
        for name in self.files:
            whole.update((out / name).read_bytes())
        return {"rows": rows, "sha256": whole.hexdigest()}


def command(work: Callable[[Path, Path], int]) -> Callable[[Attempt], int | None]:
    """The `Job.run` of a function that takes the folder of the inputs and the output folder."""

    def run(attempt: Attempt) -> int | None:
        process = Process.start(lambda: work(attempt.inputs, attempt.out), attempt.log, attempt.disturb)
        return process.wait(attempt.seconds)

    return run


def _prepare(inputs: Path, out: Path) -> int:
    return facepad("data", "prepare", "manifest", inputs / "set" / "plain.csv", out, "--jobs", 1, "--detector", "dlib")


def _train(inputs: Path, out: Path) -> int:
    words = ("train", inputs / "quick.toml", inputs / "set" / "manifest.csv", out, "--device", "cpu")
    return facepad(*words, *(["--resume"] if (out / "recipe.json").exists() else []))


def _score(inputs: Path, out: Path) -> int:
    from facepad.scale import output

    output.PART_SECONDS = 0.0  # a part after each batch, and not only every 30 s
    words = ("score", inputs / "set" / "manifest.csv", out, "--model", "nuaa-research", "--jobs", 1, "--batch-size", 4)
    return 0 if (code := facepad(*words)) == UNDECIDED else code


def _adapt(inputs: Path, out: Path) -> int:
    os.environ.pop("FACEPAD_MODELS", None)
    os.environ["FACEPAD_HOME"] = str(inputs / "home")
    return facepad("adapt", inputs / "site" / "manifest.csv", out, "--jobs", 1, "--no-thumbnails")


def _lines(name: str) -> Callable[[Path], list[str]]:
    return lambda out: (out / name).read_text(encoding="utf-8").splitlines()[1:]


def _epochs(out: Path) -> list[str]:
    """The epochs of a training, without their durations."""
    epochs = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [json.dumps({key: value for key, value in one.items() if key != "seconds"}) for one in epochs]


def _parquet(out: Path) -> list[str]:
    from pyarrow import parquet

    rows = [row for part in sorted(out.glob("part-*.parquet")) for row in parquet.read_table(part).to_pylist()]
    return [json.dumps(row, sort_keys=True) for row in rows]


def _serve(attempt: Attempt) -> int | None:
    """Start the service, and ask for a decision on each image that has none. 0 if all images have a decision."""
    attempt.out.mkdir(exist_ok=True)
    answered = attempt.out / "answered.json"
    given: dict[str, str] = json.loads(answered.read_text(encoding="utf-8")) if answered.exists() else {}
    words = ("serve", "--port", 0, "--rate", 0, "--model", "nuaa-research", "--allow-undecided")
    log = ("--decision-log", attempt.out / "decisions.jsonl")
    server = Process.start(lambda: facepad(*words, *log), attempt.log, attempt.disturb)
    killer = Process.start(lambda: _kill_later(server.pid, attempt.seconds), attempt.log)
    ask_all(attempt, server, given)
    answered.write_text(json.dumps(given), encoding="utf-8")
    killer.kill()
    all_given = len(given) == _IMAGES_OF_SERVE
    code = server.poll()
    if code is None:
        server.kill()
    return 0 if all_given else None if code in (None, -signal.SIGKILL) else code


def _kill_later(pid: int, seconds: float) -> int:
    time.sleep(seconds)
    os.killpg(pid, signal.SIGKILL)
    return 0


def ask_all(attempt: Attempt, server: Process, given: dict[str, str]) -> None:
    """Post the images until all have a decision, the server has gone, or it refuses many times in a row.

    Args:
        attempt: The attempt.
        server: The server.
        given: Image -> id of its answer; answers are added.
    """
    images = sorted((attempt.inputs / "set").rglob("*.jpg"))[:_IMAGES_OF_SERVE]
    until, refused = time.monotonic() + _LONGEST, 0
    while time.monotonic() < until and refused < _REFUSALS and len(given) < len(images) and server.alive():
        found = re.search(r"serving on http://127\.0\.0\.1:(\d+)", attempt.log.read_text(encoding="utf-8"))
        if found is None:
            time.sleep(0.01)
            continue
        for image in (each for each in images if str(each) not in given):
            request_id = _ask(int(found[1]), image.read_bytes())
            refused = 0 if request_id else refused + 1
            if request_id:
                given[str(image)] = request_id


def _ask(port: int, image: bytes) -> str | None:
    """The id of the request if the service decided, else None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/v1/liveness", image, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        time.sleep(0.01)
        return None
    return document["request_id"] if answer.status == 200 else None


def _decisions(out: Path) -> list[str]:
    """The lines of the decision log that belong to an answer: files, label and score. A torn line belongs to none."""
    given = set(json.loads((out / "answered.json").read_text(encoding="utf-8")).values())
    lines = []
    for text in (out / "decisions.jsonl").read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            lines.append(json.loads(text))
    kept = ("files", "status", "label", "score", "reasons")
    return [json.dumps({key: line[key] for key in kept}) for line in lines if line["request_id"] in given]


JOBS = (
    Job("prepare", command(_prepare), _lines("manifest.csv"), 0.35, ("manifest.csv",)),
    Job("serve", _serve, _decisions, 0.34),
    Job("score", command(_score), _parquet, 0.15),
    Job("train", command(_train), _epochs, 0.08, ("model.safetensors", "model.json"), "model.json"),
    Job("adapt", command(_adapt), _lines("scores.csv"), 0.08, ("scores.csv", "model.facepad"), "model.facepad"),
)
"""The commands."""
