"""Compare the command lines of two source trees by running the same commands on the same data.

Usage:
    python tools/compare_behaviour.py BEFORE_SRC AFTER_SRC [--keep DIR] [--only WORD]

``BEFORE_SRC`` and ``AFTER_SRC`` are folders that contain the package, such as ``src``. Each command of `GOOD` and `BAD`
runs once with each tree (``PYTHONPATH=SRC python -m facepad ...``). Each tree has its own working folder. The first
tree makes the data for both.

The script compares the exit code, the numbers and first words of stdout, the first words of stderr, and each file that
the command writes. Paths, times, dates and versions are replaced before the comparison. `INTENDED` lists intended
differences. The script prints one line per command and a summary, and exits with 1 if it finds another difference.

``--keep DIR`` keeps both working folders. ``--only WORD`` shows only the commands that contain the word. All commands
still run, because later commands need the files of earlier commands. A run takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import hashlib
import io
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_REWORDED = "a sentence of the report is worded differently"

# Intended differences: (pattern of the command, pattern of the difference, reason).
OFFLINE = "without the default model, another shipped model decides"

INTENDED: tuple[tuple[str, str, str], ...] = (
    ("*", "*note* is new", "notes are lists of a kind and a text"),
    ("*", "*note* is gone", "notes are lists of a kind and a text"),
    ("*", "*notes/*", "notes are lists of a kind and a text"),
    ("*", "*/.lock is new", "one lock file per folder, with a fixed name; it stays"),
    ("*", "*lock is gone", "one lock file per folder, with a fixed name; it stays"),
    ("*", "*_LOCK is gone", "one lock file per folder, with a fixed name; it stays"),
    ("train *", "*/recipe.json/recipe/model/* is gone", "only the options of a network that were set are listed"),
    ("list recipes", "*'demo *", "the demo's recipes start from the shipped model"),
    ("data prepare *", "*/licence: *", "the licence of the user's own folder has other words"),
    ("evaluate *", "*/report.*/*: *At threshold *", _REWORDED),
    ("evaluate *", "*/report.*/*: *Images as *", _REWORDED),
    ("evaluate *", '*/report.html/*: *class="phone">decided *', _REWORDED),
    ("evaluate *", '*/report.html/*: *class="phone">where *', _REWORDED),
    ("evaluate *", '*/report.html/*: *"minor">What *', _REWORDED),
    ("evaluate *", '*/report.html/*: *"minor">Rates in *', _REWORDED),
    ("evaluate *", "*/report.html/*: *<figcaption>Rows: what *", _REWORDED),
    ("evaluate *", "*/report.html/*: *<figcaption>A*", _REWORDED),
    ("evaluate *", "*/report.html/*: '<li>Poor faces are *", _REWORDED),
    (
        "evaluate *",
        '*/report.html/*: *<thead><tr><th scope="col">I*',
        "a column title of the report is worded differently",
    ),
    (
        "evaluate nuaa-research *",
        "*/report.*",
        "the shipped model has facts on its training data and on shipping it",
    ),
    ("list models", "*", "more models, and columns for licence, training data and shipping"),
    ("list detectors", "*yunet YuNet *", "the title of a detector is worded differently"),
    ("data prepare *", "stderr*", "a note says that dlib finds the faces if YuNet's file is not on the machine"),
    ("data prepare *", "*/prepare.json/runs/0/notes*", "the same note"),
    ("predict *", "stderr*", "the default model is tried first, then a shipped model is used with a note"),
    ("score *", "stderr*", "the default model is tried first, then a shipped model is used with a note"),
    ("predict", "*", OFFLINE),
    ("predict faces/images/s000/00-bona_fide-0.jpg", "*", OFFLINE),
    ("predict faces/images/s000 spoilt clips *", "*", OFFLINE),
    ("predict noise.jpg *", "*", OFFLINE),
    ("score faces/images scored --jobs 1*", "*", OFFLINE),
    ("score clips scored-clips *", "*", OFFLINE),
    (
        "model fuse * --method logistic",
        "*",
        "another logistic regression, nearer to the optimum (up to 7e-4)",
    ),
)

_DROPPED_KEYS = frozenset(
    [
        "seconds",
        "created",
        "packages",
        "version",
        "facepad",
        "git",
        "hostname",
        "mtime_ns",
        "timings",
        "process",
        "inputs_per_second",
        "seconds_by_step",
        "seconds_to_first_result",
        "peak_memory_bytes",
        # Digests of files that hold times or sentences; the files themselves are compared.
        "sha256",
        "scores_sha256",
        "model_sha256",
    ]
)
_FIRST_WORDS = 3
_TOLERANCE = 1e-6  # relative; the order of floating-point sums may differ between the trees

_RECIPE = """
summary = "starts from the shipped model"
[model]
name = "attention_fusion"
weights = "nuaa-research"
[preprocess]
crop = 1.5
size = 64
[train]
batch_size = 8
balance_classes = true
[depth]
weight = 0.1
[[stages]]
name = "head"
trainable_from = "head"
epochs = 2
optimizer = "adamw"
lr = 0.02
batch_norm = "frozen"
[[stages]]
name = "project"
trainable_from = "project"
epochs = 3
optimizer = "adamw"
lr = 0.001
batch_norm = "frozen"
"""
_PLAIN_RECIPE = """
summary = "small, from random weights"
[model]
name = "mobilenet_v2"
weights = "none"
width = 0.25
[preprocess]
crop = "frame"
size = 64
[augment]
operations = ["mirror", "light"]
simulate = 0.3
[train]
batch_size = 16
[[stages]]
name = "all"
epochs = 1
schedule = "one-cycle"
label_smoothing = 0.1
"""
_DESCRIBED = """
name = "described"
title = "a network described by hand"
source = "https://example.org"
license = "MIT"
[threshold]
value = 0.5
stated = "nowhere"
[[networks]]
name = "one"
file = "network.onnx"
sha256 = "{sha256}"
[networks.preprocess]
crop = 1.6
size = [128, 128]
[networks.input]
[networks.output]
kind = "logit"
"""

GOOD = """
--version
list models
list recipes
list datasets
list detectors
data synthetic made --subjects 4 --images 4 --jobs 1 > made
data synthetic made-clips --subjects 4 --images 4 --video --jobs 1 > made-clips
data prepare folder tree prepared --jobs 1 > prepared
data prepare manifest faces/manifest.csv as-is --detector dlib --jobs 1 > as-is
data prepare video-folder clips prepared-clips --frames-per-video 2 --jobs 1 > prepared-clips
data depth spoilt/manifest.csv --engine template --preview preview --jobs 1 > spoilt/depth preview
data check faces/manifest.csv --jobs 1
data check spoilt/manifest.csv --json --jobs 1
data pack faces/manifest.csv packed --size 96 --per-shard 40 --jobs 1 > packed
data pack faces/manifest.csv packed --size 96 --per-shard 40 --jobs 1
train quick.toml faces/manifest.csv run --device cpu > run
train plain.toml faces/manifest.csv run-plain --device cpu > run-plain
train plain.toml packed/manifest.csv run-packed --device cpu --set train.seed=1 --set preprocess.crop=1.5 > run-packed
evaluate run faces/manifest.csv report > report
evaluate run spoilt/manifest.csv report-spoilt --no-probes --criterion bpcer@apcer=0.05 > report-spoilt
evaluate run-plain faces/manifest.csv report-video --level video --fuse median > report-video
evaluate run-packed packed/manifest.csv report-packed --no-thumbnails --batch-size 5 > report-packed
evaluate nuaa-research faces/manifest.csv report-listed --no-probes > report-listed
metrics report/scores.csv
metrics report/scores.csv --json --criterion apcer@bpcer=0.05
metrics report-video/scores.csv --json --level video --fuse min
metrics four-columns.txt --dev four-columns.txt --criterion min-hter
compare report/scores.csv report-packed/scores.csv
compare report/scores.csv report-listed/scores.csv --json
compare report/scores.csv report-listed/scores.csv --level video
export run run.facepad --name first --license MIT --scope testing > run.facepad
export run bare.facepad --no-threshold > bare.facepad
export run small.facepad --quantize int8 --calibration faces/manifest.csv --force > small.facepad
export run vino.facepad --format openvino > vino.facepad
evaluate run.facepad faces/manifest.csv report-file --no-probes > report-file
evaluate old/run faces/manifest.csv report-old-run --no-probes > report-old-run
evaluate old/run.facepad faces/manifest.csv report-old-file --no-probes > report-old-file
calibrate run.facepad faces/manifest.csv --criterion min-hter --out calibrated.facepad > calibrated.facepad
calibrate bare.facepad faces/manifest.csv --method temperature > bare.facepad
model add described.toml > home
model fuse run.facepad nuaa-research --on faces/manifest.csv fused.facepad > fused.facepad
model fuse run bare.facepad --on faces/manifest.csv fused-logistic.facepad --method logistic > fused-logistic.facepad
predict faces/images/s000/00-bona_fide-0.jpg
predict faces/images/s000 spoilt clips --json --frames 3
predict faces/images/s001 --model run.facepad --annotate annotated --json > annotated
predict faces/images/s002 --model fused.facepad --fail-on attack
predict faces/images/s002 --model run --fail-on attack --json
predict faces/images/s003/00-bona_fide-0.jpg --model described --json
predict clips/test --model bare.facepad --frames 2
score faces/images scored --jobs 1 > scored
score faces/images scored --jobs 1 --json
score faces/manifest.csv scored-manifest --model run.facepad --jobs 1 --batch-size 7 --json > scored-manifest
score clips scored-clips --frames 2 --jobs 1 > scored-clips
"""

BAD = """
frobnicate
list recipe
predict
predict absent.jpg
predict empty
predict faces/images/s000 --model absent.facepad
predict noise.jpg --json
predict noise.jpg --fail-on attack
metrics faces/manifest.csv
metrics report/scores.csv --criterion err
compare report/scores.csv report-video/absent.csv
data synthetic report
data synthetic new --subjects 2
data check absent.csv
data depth faces/manifest.csv --engine nose
data prepare nua absent new
data prepare nuaa absent new
data prepare folder empty new
data prepare folder tree new --frames-per-second 2
data pack faces/manifest.csv new --crop big
train tla-mobilnet faces/manifest.csv new
train quick.toml faces/manifest.csv new --set train.sede=1
train quick.toml faces/manifest.csv run
train quick.toml faces/manifest.csv run --resume
train quick.toml attacks.csv new
evaluate absent faces/manifest.csv new
evaluate empty faces/manifest.csv new
evaluate run faces/manifest.csv report
evaluate changed faces/manifest.csv new
evaluate run attacks.csv new
export empty new.facepad
export run run.facepad
calibrate nuaa-research faces/manifest.csv
model add quick.toml
model fuse run.facepad --on faces/manifest.csv new.facepad
score absent new
score empty new --json
score faces/images scored --model run.facepad
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The normalised results of one command: exit code, stdout, stderr, and content of written files by name."""

    code: int
    stdout: list[str]
    stderr: list[str]
    files: Mapping[str, Any] = field(default_factory=dict)


# Normalising


class Normaliser:
    """Replaces paths, times, dates and versions in texts, because they differ between equal runs."""

    def __init__(self, folder: Path, source: Path) -> None:
        self._places = ((str(folder), "FOLDER"), (str(source), "SOURCE"))

    def text(self, text: str) -> str:
        """The text with ``FOLDER``, ``SOURCE``, ``DATE``, ``TIME`` and ``VERSION`` in place of the actual values."""
        for place, name in self._places:
            text = text.replace(place, name)
        text = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", text)
        text = re.sub(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", "DATE", text)
        text = re.sub(r"\b\d+:\d\d(:\d\d)?\b", "TIME", text)
        text = re.sub(r"\b\d+ min\b( \d+ s\b)?|\b\d+(\.\d+)? (ms|s|seconds|hours)\b|\b\d+(\.\d+)?/s\b", "TIME", text)
        return re.sub(r"\bfacepad \d+\.\d+\S*", "facepad VERSION", text)

    def messages(self, text: str) -> list[str]:
        """The first words of each line of stderr. Other tools rely on these words only."""
        lines = (line for line in re.split(r"[\r\n]+", self.text(text)) if line.strip() and not _is_progress(line))
        return [" ".join(line.split()[:_FIRST_WORDS]) for line in lines]

    def output(self, text: str) -> list[str]:
        """The first words and all numbers of each line of stdout."""
        lines = (line for line in self.text(text).splitlines() if line.strip())
        return [
            " ".join([*line.split()[:_FIRST_WORDS], "|", *map(_rounded, re.findall(r"\d[\d.]*", line))])
            for line in lines
        ]

    def document(self, value: Any) -> Any:
        """A JSON value without volatile keys. Only the first words of each sentence are kept."""
        if isinstance(value, dict):
            return {key: self.document(item) for key, item in value.items() if key not in _DROPPED_KEYS}
        if isinstance(value, list):
            return [self.document(item) for item in value]
        if isinstance(value, str):
            words = self.text(value).split()
            return " ".join(words[:_FIRST_WORDS]) if len(words) > _FIRST_WORDS else self.text(value)
        return value

    def content(self, name: str, content: bytes) -> Any:
        """The content of a file as values for `differences`. Files of unknown formats give a digest."""
        suffix = Path(name).suffix
        if suffix == ".json":
            return self.document(json.loads(content))
        if suffix == ".jsonl":
            return [self.document(json.loads(line)) for line in content.splitlines()]
        if suffix == ".csv":
            return list(csv.DictReader(io.StringIO(self.text(content.decode()))))
        if suffix == ".html":  # without the style sheets
            return self.output(re.sub(r"<style>.*?</style>", "", content.decode(), flags=re.DOTALL))
        if suffix in (".md", ".toml", ".txt"):
            return self.output(content.decode())
        if suffix == ".parquet":
            return _parquet_rows(content)
        if suffix == ".facepad":
            with zipfile.ZipFile(io.BytesIO(content)) as bundle:
                return {member: self.content(member, bundle.read(member)) for member in bundle.namelist()}
        if suffix == ".tar":
            return self._tar(content)
        return hashlib.sha256(content).hexdigest()

    def _tar(self, content: bytes) -> Any:
        with tarfile.open(fileobj=io.BytesIO(content)) as shard:
            return {
                member.name: self.content(member.name, file.read())
                for member in shard
                if (file := shard.extractfile(member)) is not None
            }


def _is_progress(line: str) -> bool:
    return "━" in line or re.search(r"\d+%\||^scoring: \d+ of", line) is not None


def _rounded(number: str) -> str:
    """The number with nine digits, because the order of floating-point sums may differ between the trees."""
    try:
        return f"{float(number):.9g}"
    except ValueError:
        return number


def _parquet_rows(content: bytes) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()


def _pooled(files: dict[str, Any]) -> dict[str, Any]:
    """The files, with the rows of all parts of a folder together, by key. The parts end at times that differ."""
    pooled: dict[str, Any] = {}
    for name, content in files.items():
        if not name.endswith(".parquet"):
            pooled[name] = content
            continue
        rows = pooled.setdefault(str(Path(name).parent / "parts"), {})
        for row in content:
            rows[f"{row['key']}:{row['frame']}"] = {k: v for k, v in row.items() if k not in _DROPPED_KEYS}
    return pooled


# Comparing


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """One line for each difference between two normalised values. Numbers are compared with a relative tolerance."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            place = f"{where}/{key}" if where else str(key)
            if key not in before or key not in after:
                yield f"{place} is {'gone' if key in before else 'new'}"
            else:
                yield from differences(before[key], after[key], place)
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{where}: {len(before)} entries, then {len(after)}"
        for number, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from differences(one, other, f"{where}/{number}")
    elif not _same(before, after):
        yield f"{where}: {_short(before)}, then {_short(after)}"


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, str) and isinstance(after, str):
        try:
            before, after = float(before), float(after)
        except ValueError:
            return bool(before == after)
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after, rel_tol=_TOLERANCE, abs_tol=1e-9) or (before != before and after != after)
    return type(before) is type(after) and bool(before == after)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def intended(command: str, difference: str) -> str | None:
    """The reason for an intended difference; None if the difference is not in `INTENDED`."""
    for commands, wanted, reason in INTENDED:
        if fnmatch.fnmatchcase(command, commands) and fnmatch.fnmatchcase(difference, wanted):
            return reason
    return None


# Running


class Side:
    """One source tree and the working folder of its commands."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.source, self.folder = source.resolve(), folder.resolve()
        self._normaliser = Normaliser(self.folder, self.source)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FACEPAD_")}
        self._environment = kept | {
            "PYTHONPATH": str(self.source),
            "FACEPAD_HOME": str(self.folder / "home"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }

    def facepad(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run ``facepad`` with the given arguments in this side's folder."""
        words = [sys.executable, "-m", "facepad", *shlex.split(command)]
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def outcome(self, line: str) -> Outcome:
        """Run a line of `GOOD` or `BAD`: a command, ``>``, and the files and folders that the command writes."""
        command, _, written = line.partition(" > ")
        done = self.facepad(command)
        normaliser = self._normaliser
        stdout: Any = normaliser.output(done.stdout)
        if "--json" in command and done.stdout.strip():
            stdout = normaliser.document(json.loads(done.stdout))
        files = {
            path.relative_to(self.folder).as_posix(): normaliser.content(path.name, path.read_bytes())
            for name in written.split()
            for path in _files(self.folder / name)
        }
        return Outcome(done.returncode, stdout, normaliser.messages(done.stderr), _pooled(files))


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(
        path
        for path in place.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts and path.suffix != ".ckpt"
    )


# The data


def make_data(side: Side) -> None:
    """Make the data for the commands: faces, clips, folder trees, broken files and a run of the first source tree."""
    folder = side.folder
    for name, text in (("quick.toml", _RECIPE), ("plain.toml", _PLAIN_RECIPE)):
        (folder / name).write_text(text)
    _must(side, "data synthetic faces --subjects 8 --images 12")
    _must(side, "data synthetic clips --subjects 4 --images 10 --video")
    rows = _rows(folder / "faces" / "manifest.csv")
    for row in rows:
        if row["attack_type"]:
            _tint(folder / "faces" / row["path"])
    _must(side, "data depth faces/manifest.csv --engine template")
    _must(side, "train quick.toml faces/manifest.csv old/run --device cpu")
    _must(side, "export old/run old/run.facepad")
    _make_tree(folder, rows)
    _write_rows(folder / "attacks.csv", [row | {"path": f"faces/{row['path']}"} for row in rows if row["attack_type"]])
    _make_spoilt(folder, rows)
    (folder / "empty").mkdir()
    noise = hashlib.sha512(b"noise").digest()
    (folder / "noise.jpg").write_bytes(noise)
    (folder / "four-columns.txt").write_text(_four_columns())
    shutil.copytree(folder / "old" / "run", folder / "changed")
    weights = folder / "changed" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    (shipped,) = side.source.rglob("nuaa-research.facepad")
    with zipfile.ZipFile(shipped) as bundle:
        network = bundle.read("network.onnx")
    (folder / "network.onnx").write_bytes(network)
    (folder / "described.toml").write_text(_DESCRIBED.format(sha256=hashlib.sha256(network).hexdigest()))


def _must(side: Side, command: str) -> None:
    done = side.facepad(command)
    if done.returncode:
        raise SystemExit(f"cannot make the data: facepad {command}: {done.stderr}")


def _tint(path: Path) -> None:
    """Make an attack yellowish. A network then learns to detect attacks within seconds of training."""
    image = cv2.imread(str(path))
    cv2.imwrite(str(path), (image * (0.4, 0.9, 1.0)).astype(np.uint8))


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _write_rows(manifest: Path, rows: list[dict[str, str]]) -> None:
    with manifest.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _make_tree(folder: Path, rows: list[dict[str, str]]) -> None:
    """Copy faces to a folder tree. The folder names give class, instrument and person."""
    for row in rows[::3]:
        kind = f"spoof/{row['attack_type']}" if row["attack_type"] else "live"
        target = folder / "tree" / row["split"] / kind / row["subject"] / Path(row["path"]).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "faces" / row["path"], target)


def _make_spoilt(folder: Path, rows: list[dict[str, str]]) -> None:
    """Copy the faces, with one broken file, one image without a face box, and one duplicate in another split."""
    spoilt = folder / "spoilt"
    shutil.copytree(folder / "faces", spoilt)
    test = [row for row in rows if row["split"] == "test"]
    (spoilt / test[0]["path"]).write_bytes(b"not an image")
    test[1] |= dict.fromkeys(("x1", "y1", "x2", "y2"), "")
    train = next(row for row in rows if row["split"] == "train")
    shutil.copy(spoilt / test[2]["path"], spoilt / train["path"])
    _write_rows(spoilt / "manifest.csv", rows)


def _four_columns() -> str:
    """Scores of another system in the Bob toolbox's four columns: claimed identity, real identity, path, score."""
    live = [f"s{number % 3} s{number % 3} live/{number} {0.9 - number / 40:.3f}" for number in range(20)]
    attacks = [f"s{number % 3} attack/print attack/{number} {0.1 + number / 30:.3f}" for number in range(20)]
    return "\n".join([*live, *attacks]) + "\n"


# The program


def compare(before: Side, after: Side, only: str = "") -> tuple[int, int]:
    """Run all commands on both sides, print one line per command, and count equal and different commands."""
    counts = [0, 0]
    with ThreadPoolExecutor(2) as pool:
        for line in (*GOOD.strip().splitlines(), *BAD.strip().splitlines()):
            old, new = pool.map(lambda side, line=line: side.outcome(line), (before, after))
            command = line.partition(" > ")[0]
            if only not in command:
                continue
            found = [*_compared(old, new)]
            unwanted = [difference for difference in found if intended(command, difference) is None]
            counts[bool(unwanted)] += 1
            note = f" ({len(found) - len(unwanted)} intended differences)" if len(found) > len(unwanted) else ""
            print(f"{'DIFFERS' if unwanted else 'same'}  [{old.code}] facepad {command}{note}", flush=True)
            for difference in unwanted[:10]:
                print(f"         {difference}")
            if len(unwanted) > 10:
                print(f"         and {len(unwanted) - 10} more")
    return counts[0], counts[1]


def _compared(before: Outcome, after: Outcome) -> Iterator[str]:
    for name in ("code", "stdout", "stderr", "files"):
        yield from differences(getattr(before, name), getattr(after, name), name)


def main() -> int:
    """Run the script. Return 1 if there is a difference that is not intended, otherwise 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("before", type=Path, metavar="BEFORE_SRC")
    parser.add_argument("after", type=Path, metavar="AFTER_SRC")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="new folder that keeps the files of both sides")
    parser.add_argument("--only", default="", metavar="WORD", help="show only commands that contain this word")
    given = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        root = given.keep or Path(temporary)
        before, after = Side(given.before, root / "before"), Side(given.after, root / "after")
        before.folder.mkdir(parents=True)
        make_data(before)
        shutil.copytree(before.folder, after.folder)
        same, differ = compare(before, after, given.only)
    print(f"{same} commands behave the same, {differ} differ ({time.monotonic() - started:.0f} s)")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
