"""The benchmark scripts fit the package: what they import is there."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facepad.media.images import write_image
from facepad.modelfile.bundle import write_bundle
from facepad.modelfile.scorers.run_scorer import bundle_of

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("*.py") if path.stem != "lbp_svm"))
def test_benchmark_imports(name, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    assert importlib.import_module(name).main


def test_latency_gives_every_table_for_networks_and_model_files(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    latency = importlib.import_module("latency")
    light = ("AttentionFusion, light", "attention_fusion", {"deep_tap": 13}, 224)
    for name, value in {
        "NETWORKS": [light],
        "ENGINES": ("onnxruntime",),
        "PICTURES": {"small": (240, 320)},
        "FACES": {1: (1, 1), 2: (1, 2)},
        "SIZE": 64,
        "BATCH": 2,
        "GEMM": 32,
    }.items():
        monkeypatch.setattr(latency, name, value)
    bundle = bundle_of(latency.network("mobilenet_v2", {}))
    (fp32,) = bundle.description.networks
    named_int8 = bundle.description.model_copy(update={"networks": (fp32.model_copy(update={"precision": "int8"}),)})
    write_bundle(tmp_path / "mine.facepad", replace(bundle, description=named_int8))
    latency.main(["--repeat", "1", "--model", str(tmp_path / "mine.facepad"), "--out", str(tmp_path / "latency.md")])
    text = capsys.readouterr().out
    assert (tmp_path / "latency.md").read_text(encoding="utf-8") == text.rstrip("\n") + "\n"
    tables = [part.splitlines() for part in text.split("\n## ")[1:]]
    rows = {table[0]: [line.split(" | ") for line in table if line.startswith("| ")][2:] for table in tables}
    contestants = [["| AttentionFusion, light", "torch"], ["| AttentionFusion, light", "onnxruntime"]]
    contestants.append(["| mine", "onnxruntime"])
    for title in ("One face of a 640x480 JPEG, one thread, one at a time", "Two threads, batches of 2"):
        assert [row[:2] for row in rows[title]] == contestants
        assert [row[2] for row in rows[title]] == ["fp32", "fp32", "int8"]
    assert [row[:2] for row in rows["A new process that scores one image"]] == contestants
    assert [row[0] for row in rows["The whole command"]][:1] == ["| `facepad predict one.jpg`"]
    assert [row[:3] for row in rows["Size of the image and number of faces"]] == [
        ["| small", "1", "1"],
        ["| small", "2", "2"],
    ]
    assert [row[0] for row in rows["Detectors on that image"]][:2] == ["| dlib", "| dlib, whole"]


def test_detectors_page_counts_faces_found_and_recall_by_size(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    detectors, latency = importlib.import_module("detectors"), importlib.import_module("latency")

    class SecondDlib(detectors.WholeImage):
        """In YuNet's place, whose model is not here."""

        name, identity = "yunet", "yunet-by-hand"

    face, *_ = latency.portraits(tmp_path / "people")
    picture = np.full((480, 640, 3), 127, np.uint8)
    picture[:, 80:560] = face
    for path, image in (("ClientRaw/0001/1.png", picture), ("ImposterRaw/0001/2.png", np.full_like(picture, 127))):
        write_image(tmp_path / "db" / path, image)
        (tmp_path / "db" / path).rename((tmp_path / "db" / path).with_suffix(".jpg"))
    monkeypatch.setattr(detectors, "YuNetDetector", lambda model: SecondDlib())
    monkeypatch.setattr(detectors, "FACE_SIZES", (20, 80, 470))
    detectors.main([str(tmp_path / "db"), "--every", "1", "--sweep", "5", "--out", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    tables = {part.splitlines()[0].lstrip("# "): part.splitlines() for part in text.split("\n##")}
    cells = {
        title: [line.strip("| ").split(" | ") for line in lines if line[:1] == "|"] for title, lines in tables.items()
    }
    assert cells["Faces found"][2] == ["dlib", "1", "50.00 (1.26 to 98.74)"]
    assert cells["Agreement of dlib's and YuNet's squares"][2][-1] == "1 of 2"
    shrunk = cells["The whole image shrunk"][2:]
    assert [row[:2] for row in shrunk] == [["20 px", "1"], ["80 px", "1"]]
    assert [row[2][:6] for row in shrunk] == ["0.00 (", "100.00"]


def test_pipeline_gives_every_table_for_every_kind_and_store(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pyarrow", reason="facepad[scale] is not installed")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    pipeline, latency = importlib.import_module("pipeline"), importlib.import_module("latency")
    for name, value in {
        "KINDS": {"small": (120, 160)},
        "DIFFERENT": 16,
        "BATCH": 8,
        "LOADERS": {name: pipeline.LOADERS[name] for name in ("in turn", "a batch ahead", "1 process")},
        "RATED": ("in turn",),
        "GROUPS": (4,),
    }.items():
        monkeypatch.setattr(pipeline, name, value)
    write_bundle(tmp_path / "mine.facepad", bundle_of(latency.network("mobilenet_v2", {"width": 0.25})))
    words = ["--images", "16", "--repeat", "1", "--model", str(tmp_path / "mine.facepad")]
    pipeline.main([*words, "--out", str(tmp_path / "pipeline.md")])
    text = capsys.readouterr().out
    assert (tmp_path / "pipeline.md").read_text(encoding="utf-8") == text.rstrip("\n") + "\n"
    tables = {part.splitlines()[0]: part.splitlines() for part in text.split("\n## ")[1:]}
    rows = {
        name: [line.strip("| ").split(" | ") for line in lines if line[0:1] == "|"] for name, lines in tables.items()
    }
    assert {len(row) for table in rows.values() for row in table[2:]} == {2, 4, 5, 6, 9}
    assert [row[1] for row in rows["Samples a second, input alone (times loose JPEG)"][2:]] == [
        "loose JPEG",
        *pipeline.PACKS,
    ]
    assert len(rows["Training the whole of MobileNetV2 on processors"]) == 2 + 3 * 3
    changed = next(table for name, table in rows.items() if name.startswith("What packing changes"))
    exact = next(row for row in changed[2:] if row[1] == "PNG, every pixel")
    assert float(exact[3]) < 0.001 and exact[-1] == "0 of 16"


def test_depth_benchmark_makes_every_map_and_leaves_the_manifest_alone(tiny_manifest, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    depth = importlib.import_module("depth")
    monkeypatch.setattr(depth, "ENGINES", ("template",))
    before = sorted(tiny_manifest.parent.iterdir())
    monkeypatch.setattr("sys.argv", ["depth.py", str(tiny_manifest), "--out", str(tmp_path / "depth.md")])
    depth.main()
    text = (tmp_path / "depth.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == text
    assert text.splitlines()[-1].startswith("| template | 36 | ")
    assert sorted(tiny_manifest.parent.iterdir()) == before
