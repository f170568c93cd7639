"""The example for other platforms in Node: the scores and faces of `facepad model extract`'s files are facepad's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from facepad.faces import create_detector
from facepad.media.images import read_image
from helpers.patience import PATIENCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "platforms"


@pytest.fixture(scope="module")
def node() -> str:
    """The program node, beside the example's packages."""
    found = shutil.which("node")
    if found is None or not (EXAMPLE / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("no Node, or no packages: npm ci in examples/platforms installs them")
    return found


@pytest.fixture
def extract(facepad, tmp_path):
    """Extract a model; only its first reference image is kept, because each takes a second."""

    def extract(model: str | Path, **changes: str) -> Path:
        assert facepad("model", "extract", model, tmp_path / "plain")[0] == 0
        file = tmp_path / "plain" / "preprocess.json"
        document = json.loads(file.read_text())
        document["networks"][0]["input"] |= changes
        file.write_text(json.dumps(document | {"reference": document["reference"][:1]}))
        return file.parent

    return extract


def run(node: str, folder: Path) -> tuple[int, dict]:
    done = subprocess.run([node, "node.mjs", folder], cwd=EXAMPLE, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.count("\n") == 1, done.stderr + done.stdout
    return done.returncode, json.loads(done.stdout)


def test_node_gives_the_reference_scores(node, extract, make_model, tmp_path):
    folder = extract(make_model(tmp_path / "tiny.facepad"))
    [reference] = json.loads((folder / "preprocess.json").read_text())["reference"]
    code, found = run(node, folder)
    assert code == 0
    for way in ("fromCrops", "fromImage"):
        assert found[way]["score"] == pytest.approx(reference["score"], abs=1e-4)
        assert found[way]["verdict"] == reference["verdict"]


def test_node_tells_other_scores(node, extract, make_model, tmp_path):
    code, found = run(node, extract(make_model(tmp_path / "tiny.facepad"), channels="bgr"))
    assert code == 1 and abs(found["fromCrops"]["score"] - found["expected"]) > 0.001


def test_node_finds_the_faces_and_scores_of_the_default_model(node, extract, models_folder):
    folder = extract("public-fusion")
    code, found = run(node, folder)
    assert code == 0
    assert found["fromCrops"]["score"] == pytest.approx(found["expected"], abs=1e-5)
    assert found["fromImage"]["score"] == pytest.approx(found["expected"], abs=1e-4)
    faces = create_detector("yunet").detect(read_image(folder / found["image"]))
    assert faces
    for ours, theirs in zip(faces, found["faces"], strict=True):
        assert theirs["box"] == pytest.approx(ours.box.xyxy, abs=1.0)
        assert theirs["confidence"] == pytest.approx(ours.confidence, abs=0.01)
