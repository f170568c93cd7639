"""A packed set in place of loose files: the same weights, scores and decisions from the same commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from facepad.datasets.manifest import read_manifest
from facepad.files.disk import sha256_file


@pytest.fixture
def packed(facepad, tiny_manifest, tmp_path) -> Path:
    """The tiny set, no pixel of it changed."""
    words = ("data", "pack", tiny_manifest, tmp_path / "packed", "--format", "png", "--size", 0, "--per-shard", 30)
    code, out, err = facepad(*words)
    assert (code, out) == (0, "") and "72 images in 3 shards" in err
    return tmp_path / "packed" / "manifest.csv"


def scores(folder: Path) -> list[tuple[str, str, str]]:
    with (folder / "scores.csv").open() as stream:
        return [(Path(row["path"]).name, row["status"], row["score"]) for row in csv.DictReader(stream)]


def test_training_on_a_packed_set_gives_the_same_weights(packed, train, run_folder, tmp_path):
    run = train(packed, tmp_path / "run")
    assert sha256_file(run / "model.safetensors") == sha256_file(run_folder / "model.safetensors")


def test_evaluation_of_a_packed_set_gives_the_same_scores(facepad, packed, run_folder, tiny_manifest, tmp_path):
    for manifest, name in ((packed, "packed"), (tiny_manifest, "loose")):
        code, _, err = facepad("evaluate", run_folder, manifest, tmp_path / "reports" / name, "--no-probes")
        assert code == 0, err
    assert scores(tmp_path / "reports" / "packed") == scores(tmp_path / "reports" / "loose")
    page = (tmp_path / "reports" / "packed" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 20


def test_other_commands_take_a_packed_set(facepad, packed, tmp_path):
    assert facepad("data", "check", packed)[0] == 0
    assert facepad("data", "depth", packed, "--engine", "template", "--preview", tmp_path / "look")[0] == 0
    out = tmp_path / "prepared"
    assert facepad("data", "prepare", "manifest", packed, out, "--jobs", 1)[0] == 0
    samples = read_manifest(out / "manifest.csv")
    assert samples[0].path == "../packed/shard-00000.tar/000000/00.png"
    assert facepad("data", "check", out / "manifest.csv")[0] == 0


def test_bulk_scoring_and_prediction_read_members(facepad, packed, make_model, tiny_manifest, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="facepad[scale] is not installed")
    model = make_model(tmp_path / "tiny.facepad", crop_scale=None)
    found = {}
    for name, manifest in (("packed", packed), ("loose", tiny_manifest)):
        assert facepad("score", manifest, tmp_path / name / "scores", "--model", model, "--jobs", 1)[0] in (0, 3)
        (part,) = (tmp_path / name / "scores").glob("part-*.parquet")
        rows = parquet.read_table(part, columns=["path", "status"]).to_pylist()
        found[name] = {Path(row["path"]).name: row["status"] for row in rows}
    assert found["packed"] == found["loose"] and "unreadable" not in found["packed"].values()
    member = packed.parent / "shard-00001.tar" / "000030" / "30.png"
    found = {}
    for path in (member, tiny_manifest.parent / "30.png"):
        _, out, _ = facepad("predict", path, "--model", model, "--json")
        (result,) = json.loads(out)["results"]
        found[path] = [(one["score"], one["label"], one["status"]) for one in result["decisions"]]
    assert found[member] == found[path] != []


def test_wrong_options_are_one_line(facepad, packed, tiny_manifest, tmp_path):
    for words, said in (
        ((tiny_manifest, tmp_path / "x", "--crop", "wide"), "--crop: expected a number or 'frame', got 'wide'"),
        ((tiny_manifest, packed.parent), "was packed with size = None, not 480"),
        ((tmp_path / "none.csv", tmp_path / "x"), "cannot read manifest"),
    ):
        code, _, err = facepad("data", "pack", *words)
        assert code == 2 and said in err and len(err.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_a_recipe_of_whole_frames_refuses_a_set_of_crops(facepad, packed, recipe, tmp_path):
    code, _, err = facepad("train", recipe, packed, tmp_path / "run", "--set", "preprocess.crop=frame")
    assert code == 2, err
    assert "needed is the whole frame: pack the set again with --crop frame" in err
    assert not (tmp_path / "run").exists()
