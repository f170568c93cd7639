"""The command line from end to end on small data made here: results, exit codes, one clear line for bad input."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.modelfile.run_folder import read_epochs
from facepad.types import Label, Sample, Split
from helpers.patience import PATIENCE


def test_run_folder_holds_what_a_reader_needs(run_folder, tiny_manifest):
    names = {path.name for path in run_folder.iterdir()}
    assert {
        "recipe.json",
        "environment.json",
        "metrics.jsonl",
        "tensorboard",
        "model.json",
        "model.safetensors",
    } <= names
    description = json.loads((run_folder / "model.json").read_text())
    assert description["preprocess"]["crop_scale"] == 1.5
    assert description["facts"]["manifest_sha256"]
    environment = json.loads((run_folder / "environment.json").read_text())
    assert environment["packages"]["torch"]
    assert environment["device"] == "cpu"
    assert environment["manifest"] == str(tiny_manifest.resolve()), "it was given relative to another folder"


def test_evaluate_writes_scores_metrics_and_report(facepad, run_folder, tiny_manifest, tmp_path):
    code, out, err = facepad("evaluate", run_folder, tiny_manifest, tmp_path / "report")
    assert code == 0, err
    assert "APCER" in out
    with (tmp_path / "report" / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["split"] for row in rows].count("dev") == [row["split"] for row in rows].count("test") == 24
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["threshold"]["origin"]["split"] == "dev"
    assert set(metrics["probes"]) == {"face blanked", "only face"}
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Learning curves" in page
    code, out, _ = facepad("metrics", tmp_path / "report" / "scores.csv", "--json")
    again = json.loads(out)
    assert code == 0
    assert again["eer"] == metrics["eer"]


def test_evaluation_counts_what_it_cannot_score(facepad, run_folder, tiny_manifest, tmp_path):
    shutil.copytree(tiny_manifest.parent, tmp_path / "data", ignore=shutil.ignore_patterns("features"))
    manifest = tmp_path / "data" / "manifest.csv"
    lines = manifest.read_text().splitlines()
    test_rows = [number for number, line in enumerate(lines) if ",test," in line]
    lines[test_rows[0]] = lines[test_rows[0]].rsplit(",", 4)[0] + ",,,,"
    manifest.write_text("\n".join(lines) + "\n")
    (tmp_path / "data" / lines[test_rows[1]].split(",")[0]).write_bytes(b"no image")
    code, _, err = facepad("evaluate", run_folder, manifest, tmp_path / "report", "--no-probes")
    assert code == 0, err
    assert f"unreadable: {lines[test_rows[1]].split(',')[0]}: " in err
    text = (tmp_path / "report" / "scores.csv").read_text()
    assert text.count(",no_face,") == 1
    assert text.count(",unreadable,") == 1
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert sum(sum(counts.values()) for counts in metrics["non_responses"].values()) == 2


STOPS_IN_THE_SECOND_STAGE = """
import os, signal
from facepad.cli import main
from facepad.training import callbacks

add = callbacks.EpochLog.add

def add_and_stop(log, row):
    add(log, row)
    if len(callbacks.read_epochs(log.path)) == 4:
        os.kill(os.getpid(), signal.SIGSTOP)

callbacks.EpochLog.add = add_and_stop
main()
"""


def test_run_under_way_is_not_resumed_and_a_killed_one_resumes_to_the_same_end(
    facepad, run_folder, tiny_manifest, recipe, tmp_path
):
    folder = tmp_path / "killed"
    words = ["train", str(recipe), str(tiny_manifest), str(folder), "--resume"]
    process = subprocess.Popen([sys.executable, "-c", STOPS_IN_THE_SECOND_STAGE, *words], stderr=subprocess.DEVNULL)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    code, _, err = facepad(*words)
    assert (code, err.startswith(f"facepad: another process is training in {folder}")) == (2, True)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run must still be under way"
    assert not (folder / "model.json").exists()
    code, _, err = facepad(*words)
    assert code == 0, err
    ends = [json.loads((path / "model.json").read_text())["weights_sha256"] for path in (run_folder, folder)]
    assert ends[0] == ends[1]
    rows = [[{**row, "seconds": 0} for row in read_epochs(path / "metrics.jsonl")] for path in (run_folder, folder)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "tla-mobilnet", "{manifest}", "{new}"], "did you mean 'tla-mobilenetv2'"),
        (["train", "demo", "{manifest}", "{new}", "--set", "train.sede=1"], "did you mean 'train.seed'"),
        (["train", "demo", "{new}/absent.csv", "{new}"], "absent.csv"),
        (["train", "demo", "{manifest}", "{run}"], "is not empty"),
        (["train", "demo", "{manifest}", "{new}", "--device", "mps"], "device 'mps' is not available"),
        (["evaluate", "{new}", "{manifest}", "{new}"], "or the path of a model file or run folder"),
        (["evaluate", "{empty}", "{manifest}", "{new}"], "holds no trained model"),
        (["evaluate", "{run}", "{manifest}", "{run}"], "is not empty"),
        (["evaluate", "{run}", "{manifest}", "{new}", "--criterion", "err"], "eer"),
        (["metrics", "{manifest}"], "manifest.csv"),
        (["data", "prepare", "nuaa", "{new}", "{new}"], "does not exist"),
        (["data", "prepare", "nua", "{new}", "{new}"], "did you mean 'nuaa'"),
        (["data", "prepare", "nuaa", "{empty}", "{new}"], "is empty"),
        (["data", "prepare", "folder", "{empty}", "{new}"], "is empty"),
        (["data", "prepare", "video-folder", "{new}", "{new}", "--frames-per-second", "0"], "number above 0, got 0"),
        (["data", "prepare", "video-folder", "{new}", "{new}", "--frames-per-second", "x"], "frames-per-second"),
        (["data", "prepare", "folder", "{new}", "{new}", "--frames-per-second", "2"], "a data set of images"),
        (["data", "prepare", "nuaa", "{new}", "{new}", "--frames-per-video", "3"], "a data set of images"),
        (
            ["data", "prepare", "casia-mfsd", "{new}", "{new}", "--frames-per-second", "2", "--frames-per-video", "3"],
            "either frames per video or frames per second, got 3 and 2",
        ),
        (
            ["data", "prepare", "folder", "{new}", "{new}", "--frames-per-second", "2", "--frames-per-video", "3"],
            "either frames per video or frames per second, got 3 and 2",
        ),
        (["data", "synthetic", "{run}"], "is not empty"),
        (["data", "synthetic", "{new}", "--subjects", "2"], "4"),
        (["data", "check", "{new}.csv"], "cannot read manifest"),
        (["list", "recipe"], "recipes"),
        (["frobnicate"], "No such command"),
    ],
)
def test_bad_input_is_one_line_and_code_2(facepad, run_folder, tiny_manifest, tmp_path, words, message):
    (tmp_path / "empty").mkdir()
    places = {"manifest": tiny_manifest, "run": run_folder, "new": tmp_path / "new", "empty": tmp_path / "empty"}
    code, out, err = facepad(*[word.format(**places) for word in words])
    assert code == 2, err
    assert out == ""
    assert message in err and "Value error" not in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists() or not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("words", [["list", "recipes"], ["--help"], ["metrics", "{scores}", "--json"]])
@pytest.mark.parametrize("stderr_too", [False, True])
def test_pipe_without_a_reader_ends_quietly_as_other_tools_do(tmp_path, words, stderr_too):
    scores = tmp_path / "scores.csv"
    rows = [f"{number}.png,bona_fide,,{split},0.{number}" for split in ("dev", "test") for number in (6, 8)]
    rows += [f"{number}.png,attack,print,{split},0.{number}" for split in ("dev", "test") for number in (2, 4)]
    scores.write_text("\n".join(["path,label,attack_type,split,score", *rows]) + "\n")
    command = [sys.executable, "-m", "facepad", *(word.format(scores=scores) for word in words)]
    reader, writer = os.pipe()
    os.close(reader)
    errors = writer if stderr_too else subprocess.PIPE
    done = subprocess.run(command, stdout=writer, stderr=errors, text=True, timeout=PATIENCE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr or "") == (128 + signal.SIGPIPE, "")


def test_message_without_a_reader_ends_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "facepad", "frobnicate"], stderr=writer, timeout=PATIENCE, check=False)
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE


def test_resume_of_a_finished_or_other_run_is_refused(facepad, run_folder, tiny_manifest, recipe, tmp_path):
    code, _, err = facepad("train", recipe, tiny_manifest, run_folder, "--resume")
    assert (code, "is finished" in err) == (2, True)
    half = tmp_path / "half"
    shutil.copytree(run_folder, half)
    (half / "model.json").unlink()
    described = json.loads((half / "recipe.json").read_text())
    described["recipe"]["model"]["channels"] = None  # older versions wrote options without a value, too
    (half / "recipe.json").write_text(json.dumps(described))
    code, _, err = facepad("train", recipe, tiny_manifest, half, "--resume", "--set", "train.seed=9")
    assert (code, "train.seed = 0, not 9" in err) == (2, True)
    code, _, err = facepad("train", recipe, tiny_manifest, half)
    assert (code, "--resume" in err) == (2, True)
    for stage in described["recipe"]["stages"]:
        del stage["loss"]  # a key that later versions have added
    (half / "recipe.json").write_text(json.dumps(described))
    assert facepad("train", recipe, tiny_manifest, half, "--resume")[0] == 0


def test_changed_weights_are_refused(facepad, run_folder, tiny_manifest, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(run_folder, changed)
    content = bytearray((changed / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (changed / "model.safetensors").write_bytes(content)
    code, _, err = facepad("evaluate", changed, tiny_manifest, tmp_path / "report")
    assert (code, "SHA-256 differs" in err) == (2, True)


def test_one_class_only_is_refused_before_anything_is_written(facepad, tiny_manifest, recipe, tmp_path):
    shutil.copytree(tiny_manifest.parent, tmp_path / "data", ignore=shutil.ignore_patterns("features"))
    manifest = tmp_path / "data" / "manifest.csv"
    write_manifest(manifest, [sample for sample in read_manifest(manifest) if sample.label is Label.ATTACK])
    code, _, err = facepad("train", recipe, manifest, tmp_path / "run")
    assert (code, "both classes" in err) == (2, True)
    assert not (tmp_path / "run").exists()


def test_mostly_corrupt_training_images_stop_the_run_and_leave_nothing(facepad, tiny_manifest, recipe, tmp_path):
    shutil.copytree(tiny_manifest.parent, tmp_path / "data", ignore=shutil.ignore_patterns("features"))
    manifest = tmp_path / "data" / "manifest.csv"
    for sample in [sample for sample in read_manifest(manifest) if sample.split is Split.TRAIN][:3]:
        (manifest.parent / sample.path).write_bytes(b"no image")
    code, _, err = facepad("train", recipe, manifest, tmp_path / "run")
    assert code == 2
    assert "3 of 24 training images cannot be read" in err.strip().splitlines()[-1]
    assert not (tmp_path / "run").exists()


def _from_elsewhere(manifest: Path, folder: Path) -> list[Sample]:
    """The samples of a manifest for one in another folder."""
    way = Path(os.path.relpath(manifest.parent, folder))
    return [replace(sample, path=(way / sample.path).as_posix()) for sample in read_manifest(manifest)]


def test_evaluation_on_one_class_is_refused_before_anything_is_written(facepad, run_folder, tiny_manifest, tmp_path):
    manifest = tmp_path / "manifest.csv"
    samples = _from_elsewhere(tiny_manifest, tmp_path)
    write_manifest(manifest, [s for s in samples if s.split is not Split.TEST or s.label is Label.ATTACK])
    code, _, err = facepad("evaluate", run_folder, manifest, tmp_path / "report")
    assert (code, "both classes in split 'test', got 0 bona fide and 12 attack" in err) == (2, True)
    write_manifest(manifest, [s for s in samples if s.split is not Split.DEV])
    code, _, err = facepad("evaluate", run_folder, manifest, tmp_path / "report", "--dev", manifest)
    assert (code, "split 'dev', got 0 bona fide and 0 attack" in err) == (2, True), err
    assert not (tmp_path / "report").exists()


def test_evaluation_says_when_test_images_were_used_in_training(facepad, run_folder, tiny_manifest, tmp_path):
    manifest = tmp_path / "manifest.csv"
    turned = {Split.TRAIN: Split.TEST, Split.TEST: Split.TRAIN, Split.DEV: Split.DEV}
    samples = _from_elsewhere(tiny_manifest, tmp_path)
    write_manifest(manifest, [replace(s, split=turned[s.split]) for s in samples])
    code, out, err = facepad("evaluate", run_folder, manifest, tmp_path / "report", "--no-probes")
    assert code == 0, err
    assert "24 of 24 test images were used in training" in out
    assert "3 of 3 test subjects are also train subjects (same name)" in out
    _, out, _ = facepad("evaluate", run_folder, tiny_manifest, tmp_path / "honest", "--no-probes")
    assert "used in training" not in out


@pytest.mark.parametrize("words", [["--help"], ["data", "--help"], ["train", "--help"], ["evaluate", "--help"]])
def test_help_brings_no_torch(words):
    code = f"""
import sys
from facepad.cli import main
sys.argv = ["facepad", *{words}]
try:
    main()
except SystemExit as stop:
    sys.exit(stop.code or "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=PATIENCE, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_synthetic_data_goes_the_whole_way(facepad, recipe, tmp_path):
    assert facepad("data", "synthetic", tmp_path / "data", "--subjects", 4, "--images", 4, "--jobs", 1)[0] == 0
    manifest = tmp_path / "data" / "manifest.csv"
    code, out, err = facepad("data", "check", manifest, "--json")
    assert code == 0, err
    assert json.loads(out)["problems"] == []
    assert facepad("train", recipe, manifest, tmp_path / "run")[0] == 0
    code, out, err = facepad("evaluate", tmp_path / "run", manifest, tmp_path / "report", "--criterion", "0.5")
    assert code == 0, err
    assert "threshold 0.5" in out


def test_list_names_everything(facepad):
    for what, name in (
        ("models", "resnet34"),
        ("recipes", "tla-resnet34-paper"),
        ("datasets", "nuaa"),
        ("detectors", "yunet"),
    ):
        code, out, _ = facepad("list", what)
        assert code == 0
        assert name in out
