"""The benchmark scripts fit the package: each has help, none needs another, and small runs of the longer ones work."""

from __future__ import annotations

import ast
import importlib
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from facepad.media.images import write_image
from facepad.modelfile.bundle import write_bundle
from facepad.modelfile.catalog import DEFAULT_MODEL, described_models
from facepad.modelfile.scorers.run_scorer import bundle_of

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py") if "\ndef main(" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_benchmark_has_help_that_says_how_to_run_it(name, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main(["--help"])
    assert ended.value.code == 0
    assert f"python benchmarks/{name}.py" in capsys.readouterr().out


@pytest.mark.parametrize("name", SCRIPTS)
def test_benchmark_imports_no_other_benchmark(name):
    tree = ast.parse((BENCHMARKS / f"{name}.py").read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not imported & set(SCRIPTS)


def rows(text: str) -> dict[str, list[list[str]]]:
    """Title of a section -> the rows of its tables, without their headers."""
    parts = re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]
    sections = {title: lines for title, *lines in map(str.splitlines, parts)}
    cells = {
        title: [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
        for title, lines in sections.items()
    }
    return {title: [row for row in table if row[0] != "---"][1:] for title, table in cells.items() if table}


def once(ways: Mapping[Any, Callable[[], object]], repeat: int) -> dict[Any, list[object]]:
    """One round, in the place of `interleaved` with its round that is not counted: half of the processes."""
    return {name: [way()] for name, way in ways.items()}


def test_rounds_take_turns_and_the_first_is_not_counted():
    turns = []
    ways = {name: partial(turns.append, name) for name in "ab"}
    assert importlib.import_module("_common").interleaved(ways, 2) == {"a": [None] * 2, "b": [None] * 2}
    assert turns == [*"ababab"]


def test_latency_measures_named_model_files_beside_networks(tmp_path, monkeypatch):
    latency, faces = importlib.import_module("latency"), importlib.import_module("_faces")
    for module in (latency, importlib.import_module("_processes")):
        monkeypatch.setattr(module, "interleaved", once)
    monkeypatch.setattr(latency, "ENGINES", ("onnxruntime",))
    started = {}  # A process of each kind is enough.
    real = latency.child
    monkeypatch.setattr(
        latency, "child", lambda words: started.get(words[2]) or started.setdefault(words[2], real(words))
    )
    sizes = latency.Sizes(
        {"AttentionFusion, light": ("attention_fusion", {"deep_tap": 13})},
        input=64,
        pictures={"small": (240, 320)},
        faces=(1, 2),
        batch=2,
        gemm=32,
        repeat=1,
    )
    bundle = bundle_of(latency.network("mobilenet_v2", {}, 64))
    (fp32,) = bundle.description.networks
    int8 = bundle.description.model_copy(update={"networks": (fp32.model_copy(update={"precision": "int8"}),)})
    write_bundle(tmp_path / "mine.facepad", replace(bundle, description=int8))
    bench = latency.Bench(tmp_path, sizes, [tmp_path / "mine.facepad"])
    monkeypatch.setattr(latency, "find_model", lambda _: SimpleNamespace(read=lambda: bundle))
    monkeypatch.setattr(latency, "YuNetDetector", faces.WholeImage)
    monkeypatch.setattr(latency, "WholeYuNet", faces.WholeImage)
    one_face, default, detectors, throughput, pictures, started = map(rows, latency.tables(bench))
    contestants = {(name, engine) for name, engine, *_ in one_face.popitem()[1]}
    assert ("AttentionFusion, light", "torch") in contestants
    assert {("AttentionFusion, light", "onnxruntime"), ("mine", "onnxruntime")} <= contestants
    assert {engine for engine, *_ in default.popitem()[1]} == {engine for name, engine in contestants if name == "mine"}
    for table in (throughput, {title: found for title, found in started.items() if "command" not in title}):
        assert {(name, engine) for name, engine, *_ in table.popitem()[1]} == contestants
    assert {name for name, *_ in detectors.popitem()[1]} >= {"dlib", "dlib, whole"}
    found = {(int(row[1]), int(row[2])) for row in pictures.popitem()[1]}
    assert found == {(1, 1), (2, 2)}, "all procedural faces are found"


def test_detectors_page_counts_faces_found_on_nuaa_and_on_other_sets_and_recall_by_size(tmp_path, monkeypatch):
    detectors, faces = importlib.import_module("detectors"), importlib.import_module("_faces")

    class SecondDlib(faces.WholeImage):
        """In the place of YuNet, whose model is not here."""

        identity = "yunet-by-hand"

        def __init__(self, name):
            super().__init__()
            self.name = name

    face, *_ = faces.portraits(tmp_path / "people")
    picture = np.full((480, 640, 3), 127, np.uint8)
    picture[:, 80:560] = face
    for path, image in (("ClientRaw/0001/1.png", picture), ("ImposterRaw/0001/2.png", np.full_like(picture, 127))):
        write_image(tmp_path / "db" / path, image)
        (tmp_path / "db" / path).rename((tmp_path / "db" / path).with_suffix(".jpg"))
    monkeypatch.setattr(detectors, "YuNetDetector", lambda model: SecondDlib("yunet"))
    monkeypatch.setattr(detectors, "WholeYuNet", lambda model: SecondDlib("yunet, whole"))
    words = ["--every", "1", "--sweep", "5", "--sizes", "20", "80", "470", "--out", str(tmp_path / "page.md")]
    detectors.main([str(tmp_path / "db"), *words])
    tables = rows((tmp_path / "page.md").read_text(encoding="utf-8"))
    assert tables["Faces found"][0] == ["dlib", "1", "50.00 (1.26 to 98.74)"]
    assert tables["Agreement of dlib's and YuNet's squares"][0][-1] == "1 of 2"
    recall = {size: float(dlib.split(" ")[0]) for size, _, dlib, *_ in tables["The whole image shrunk"]}
    assert recall == {"20 px": 0, "80 px": 100}, "the face has no 470 px, and at 20 px no detector sees it"

    nuaa = (tmp_path / "page.md").read_text(encoding="utf-8")
    lines = ["path,subject,label", "ClientRaw/0001/1.jpg,1,bona_fide", "ImposterRaw/0001/2.jpg,2,attack"]
    (tmp_path / "db" / "office.csv").write_text("\n".join(lines), encoding="utf-8")
    for _ in range(2):  # the second run replaces the table of the first
        detectors.main(["--set", f"office={tmp_path / 'db' / 'office.csv'}", "--out", str(tmp_path / "page.md")])
        both = (tmp_path / "page.md").read_text(encoding="utf-8")
        assert both.startswith(f"{nuaa}\n## Faces found on other sets\n\n"), "the tables of NUAA stay"
        assert [row for title, table in rows(both).items() if title not in tables for row in table] == [
            ["office", "bona fide", "1", *"00000"],
            ["office", "attack", "1", *"11110"],
            ["all", "", "2", *"11110"],
        ]
    detectors.main([str(tmp_path / "db"), *words])
    assert rows((tmp_path / "page.md").read_text(encoding="utf-8")).keys() == rows(both).keys(), "the other sets stay"


def test_detectors_refuses_a_wrong_set_in_one_line(tmp_path, monkeypatch, capsys):
    detectors, faces = importlib.import_module("detectors"), importlib.import_module("_faces")
    monkeypatch.setattr(detectors, "YuNetDetector", lambda model: faces.WholeImage())
    monkeypatch.setattr(detectors, "WholeYuNet", lambda model: faces.WholeImage())
    for words in (["--set", "office"], []):
        with pytest.raises(SystemExit):
            detectors.main(words)
    assert "'office' is not NAME=MANIFEST" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="cannot read manifest"):
        detectors.main(["--set", f"office={tmp_path / 'none.csv'}"])


@pytest.fixture
def pipeline(monkeypatch):
    """The script, which draws its few images in this process: processes take longer to start."""
    module = importlib.import_module("pipeline")
    monkeypatch.setattr(module, "generate", partial(module.generate, jobs=1))
    return module


def test_packing_every_pixel_as_png_moves_no_score(pipeline, tmp_path):
    latency = importlib.import_module("latency")
    plan = pipeline.Plan(images=16, different=16)
    sets = pipeline.make_sets(plan, tmp_path, (120, 160))
    bundle = bundle_of(latency.network("mobilenet_v2", {"width": 0.25}, 64))
    changes = pipeline.changes(bundle, sets, plan.different)
    assert changes.keys() == {*pipeline.PACKS, pipeline.REDUCED}
    assert np.abs(changes["PNG, every pixel"].scores).max() < 0.001
    assert changes["PNG, every pixel"].flipped == 0
    assert all(len(change.scores) == 16 for change in changes.values())


def test_pipeline_times_every_store_and_loader(pipeline, tmp_path):
    pytest.importorskip("pyarrow", reason="facepad[scale] is not installed")
    plan = pipeline.Plan(
        images=8,
        repeat=1,
        kinds={"small": (120, 160)},
        different=16,
        batch=4,
        loaders=("in turn", "a batch ahead", "1 process"),
        trained=(pipeline.USUAL,),
        rated=("in turn",),
        groups=(4,),
    )
    steps, rates, training, reading, _ = pipeline.tables(plan, tmp_path)
    stores = [pipeline.LOOSE, *pipeline.PACKS]
    for text in (steps, rates):
        assert [row[1] for row in rows(text).popitem()[1]] == stores
    trained = rows(training).popitem()[1]
    assert {row[2] for row in trained} == set(plan.loaders)
    assert all(float(row[3]) > 0 and math.isfinite(float(row[3])) for row in trained)
    assert [row[0] for row in rows(reading).popitem()[1]][-1] == "Parquet, 4 rows per group"


def test_depth_benchmark_makes_every_map_and_leaves_the_manifest_alone(tiny_manifest, tmp_path, capsys):
    before = sorted(tiny_manifest.parent.iterdir())
    words = [str(tiny_manifest), "--engines", "template", "--out", str(tmp_path / "depth.md")]
    importlib.import_module("depth").main(words)
    text = (tmp_path / "depth.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == text
    (row,) = rows(text).popitem()[1]
    assert row[:2] == ["template", "36"]
    assert sorted(tiny_manifest.parent.iterdir()) == before


def test_no_made_up_mixture_is_accepted_by_the_policy_all(tmp_path, monkeypatch):
    mixtures = importlib.import_module("mixtures")
    monkeypatch.setattr(mixtures, "MIXTURES", 20)
    monkeypatch.setattr(mixtures, "STREAMS", 3)
    mixtures.main(["--out", str(tmp_path / "mixtures.md")])
    text = (tmp_path / "mixtures.md").read_text(encoding="utf-8")
    default = tomllib.loads(described_models()[DEFAULT_MODEL].read_text(encoding="utf-8"))
    assert f"the threshold is {default['threshold']['value']}." in text
    tables = rows(text)
    accepted = {(kind, faces): counts for kind, faces, *counts in tables["Accepted mixtures"]}
    assert {counts[1] for (kind, faces), counts in accepted.items() if (kind, faces) != ("faces", "largest")} == {"0"}
    assert accepted["files", "largest"] == ["20", "0", "20", "20", "0"]
    for _, _, single, _, stream, *_ in tables["Changes of the verdict in 150 live frames"]:
        assert float(stream) < float(single) / 2
