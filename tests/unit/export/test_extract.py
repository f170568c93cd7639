"""Plain files of a model, and the same scores from them by the arithmetic of the guide for other platforms."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest

from facepad.errors import ModelError, OutputExistsError
from facepad.export.extract import extract_model
from facepad.export.plain import plain_onnx
from facepad.media.images import read_image
from facepad.modelfile.bundle import CARD, Bundle, read_bundle
from facepad.modelfile.catalog import find_model
from facepad.modelfile.scorers import BundleScorer
from facepad.types import Box
from helpers.other_platforms import cut, logit, score, tensor


@pytest.fixture
def bundle(make_model, tmp_path):
    return read_bundle(make_model(tmp_path / "tiny.facepad", crop_scale=1.0))


def scores_from(folder, *, cuts):
    """The score of each reference image, from the reference crops or from the images, with the expected score."""
    document = json.loads((folder / "preprocess.json").read_text())
    sessions = [onnxruntime.InferenceSession(folder / network["file"]) for network in document["networks"]]
    for reference in document["reference"]:
        image, logits = read_image(folder / reference["image"]), []
        for network, session, crop in zip(document["networks"], sessions, reference["crops"], strict=True):
            pixels = cut(image, reference["box"], network["crop"]) if cuts else read_image(folder / crop)
            output = session.run(None, {session.get_inputs()[0].name: tensor(pixels, network["input"])})[0]
            logits.append(logit(output.reshape(-1).tolist(), network["output"]))
        yield score(logits, document), reference


@pytest.mark.parametrize("cuts", [False, True], ids=["crops", "images"])
def test_the_guides_arithmetic_gives_the_reference_scores(bundle, tmp_path, cuts):
    extract_model(bundle, tmp_path / "plain")
    found = list(scores_from(tmp_path / "plain", cuts=cuts))
    assert len(found) == 3 and np.ptp([value for value, _ in found]) > 0.01
    for value, reference in found:
        assert value == pytest.approx(reference["score"], abs=1e-4)
        assert reference["verdict"] == ("live" if value >= 0.5 else "attack")


def test_the_guides_arithmetic_gives_the_default_models_scores(models_folder, tmp_path):
    extract_model(find_model("public-fusion").read(), tmp_path / "plain")
    for value, reference in scores_from(tmp_path / "plain", cuts=False):
        assert value == pytest.approx(reference["score"], abs=1e-6)
    document = json.loads((tmp_path / "plain" / "preprocess.json").read_text())
    reference, network = document["reference"][0], document["networks"][0]
    pixels = cut(read_image(tmp_path / "plain" / reference["image"]), reference["box"], network["crop"])
    assert np.abs(pixels - read_image(tmp_path / "plain" / reference["crops"][0])).max() <= 1
    assert document["detector"]["file"] == "yunet.onnx" and (tmp_path / "plain" / "yunet.onnx").exists()


def test_a_small_face_is_enlarged_nearly_alike(bundle):
    """The guide enlarges linearly, as this model does."""
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    box, [network] = Box(20.3, 18.1, 32.9, 30.7), bundle.description.networks
    crop = {"scale": 1.0, "shift": [0, 0], "size": [16, 16], "border": "reflect"}
    expected = network.preprocess.apply(image, box).astype(float)
    assert np.abs(cut(image, list(box.xyxy), crop) - expected).mean() < 2.0


def test_reference_scores_are_those_of_a_scorer(bundle, tmp_path):
    extract_model(bundle, tmp_path / "plain")
    scorer = BundleScorer(bundle)
    for reference in json.loads((tmp_path / "plain" / "preprocess.json").read_text())["reference"]:
        prepared = scorer.prepare(read_image(tmp_path / "plain" / reference["image"]), Box(*reference["box"]))
        assert (prepared[0] == read_image(tmp_path / "plain" / reference["crops"][0])).all()
        found = scorer.score([prepared])
        assert (found.values[0], found.logits[0]) == pytest.approx((reference["score"], *reference["logits"]))


def test_the_same_model_gives_the_same_files(bundle, tmp_path):
    first, second = (extract_model(bundle, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_metadata_describe_the_model_and_the_graph_runs_as_before(bundle, tmp_path):
    graph = plain_onnx(bundle, bundle.description.networks[0])
    again = plain_onnx(Bundle(bundle.description, {"network.onnx": graph}), bundle.description.networks[0])
    assert len(again) == len(graph), "a second time, the entries are replaced"
    session = onnxruntime.InferenceSession(graph)
    entries = session.get_modelmeta().custom_metadata_map
    assert (entries["facepad.name"], entries["facepad.license"]) == ("tiny", "Apache-2.0")
    assert json.loads(entries["facepad"])["networks"][0]["crop"]["scale"] == 1.0
    red = np.full((1, 16, 16, 3), (255, 0, 0), np.uint8)
    assert session.run(["logit"], {"image": red})[0] == pytest.approx(10)


def test_card_and_licence_come_along_and_a_full_folder_is_refused(bundle, tmp_path):
    extract_model(Bundle(bundle.description, {**bundle.files, CARD: b"# Tiny"}), tmp_path / "plain")
    assert (tmp_path / "plain" / CARD).read_bytes() == b"# Tiny"
    with pytest.raises(OutputExistsError, match="is not empty"):
        extract_model(bundle, tmp_path / "plain")


def test_a_part_that_is_no_graph_is_refused_in_one_line(bundle):
    broken = Bundle(bundle.description, {"network.onnx": b"no graph"})
    with pytest.raises(ModelError, match="network tiny of tiny is not an ONNX graph"):
        plain_onnx(broken, broken.description.networks[0])


def test_openvinos_format_is_refused_in_one_line(bundle, tmp_path):
    network = bundle.description.networks[0].model_copy(update={"files": ("a.xml", "a.bin")})
    with pytest.raises(ModelError, match="OpenVINO's format, which cannot become ONNX"):
        plain_onnx(bundle, network)
    assert not (tmp_path / "plain").exists()


def test_command_lists_the_files(facepad, make_model, tmp_path):
    code, out, err = facepad("model", "extract", make_model(tmp_path / "tiny.facepad"), tmp_path / "plain")
    assert (code, out) == (0, "")
    assert "network.onnx" in err and err.splitlines()[-1] == f"written: {tmp_path / 'plain' / 'preprocess.json'}"
