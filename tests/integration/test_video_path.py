"""Videos from end to end: frames, depth labels, AttentionFusion, evaluation of whole videos, comparison."""

from __future__ import annotations

import csv
import json

SMALL = ["model.weights=none", "model.deep_tap=13", "preprocess.size=32", "stages.0.epochs=1", "augment.views=1"]


def test_videos_go_the_whole_way(facepad, tmp_path):
    videos, data = tmp_path / "videos", tmp_path / "data"
    manifest, run, report = data / "manifest.csv", tmp_path / "run", tmp_path / "report"
    assert facepad("data", "synthetic", videos, "--video", "--subjects", 4, "--images", 6, "--jobs", 1)[0] == 0
    words = ("data", "prepare", "video-folder", videos, data, "--frames-per-second", 12.5, "--jobs", 1)
    code, _, err = facepad(*words)
    assert code == 0, err
    settings = [word for setting in SMALL for word in ("--set", setting)]
    code, _, err = facepad("train", "attention-fusion", manifest, run, *settings)
    assert (code, "facepad data depth" in err.splitlines()[-1]) == (2, True)
    assert not run.exists()
    code, _, err = facepad("data", "depth", manifest, "--engine", "template", "--preview", tmp_path / "look")
    assert code == 0, err
    assert list((tmp_path / "look").glob("*.png"))
    code, _, err = facepad("train", "attention-fusion", manifest, run, *settings)
    assert code == 0, err
    assert json.loads((run / "model.json").read_text())["facts"]["depth_labels"].startswith("template")
    code, out, err = facepad("evaluate", run, manifest, report, "--level", "video", "--no-probes")
    assert code == 0, err
    metrics = json.loads((report / "metrics.json").read_text())
    with (report / "scores.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    assert metrics["level"] == "video"
    assert metrics["accuracy"]["n"] == len({row["video"] for row in rows}) < len(rows)
    assert "Depth maps" in (report / "report.html").read_text()
    code, out, err = facepad("compare", report / "scores.csv", report / "scores.csv", "--json", "--level", "video")
    assert code == 0, err
    assert json.loads(out)["differences"]["acer"]["difference"] == 0
