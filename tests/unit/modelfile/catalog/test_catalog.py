"""The catalogue: shipped descriptions are right, the user's own are checked before they are kept."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from facepad.errors import ModelError, OutputExistsError
from facepad.metrics import NoteKind, Threshold
from facepad.modelfile.catalog import DEFAULT_MODEL, described_models, find_model, list_catalog, look_up
from facepad.modelfile.catalog.add import add_model, check_model
from facepad.modelfile.catalog.described import read_described
from facepad.modelfile.catalog.store import user_folder
from facepad.modelfile.scorers import BundleScorer, sigmoid
from facepad.types import Box

FACE = Box(10, 10, 50, 50)


DESCRIPTION = """
name = "{name}"
title = "a network of two logits"
source = "made by hand"
license = "MIT"

[threshold]
value = 0.25
stated = "its README"

[[networks]]
name = "by-hand"
file = "net.onnx"
sha256 = "{sha256}"

[networks.preprocess]
crop = 1.0
size = [16, 16]

[networks.input]
layout = "nchw"
dtype = "float32"
scale = 0.00392156862745098

[networks.output]
kind = "logits"
bona_fide = 1
"""
#: Class 1 is bona fide: the blue channel's mean speaks for it, the red one's against it.
WEIGHTS = [[2, 0], [0, 0], [0, 2]]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, request):
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))
    if not request.node.get_closest_marker("models"):
        monkeypatch.delenv("FACEPAD_MODELS", raising=False)
    return tmp_path / "home"


@pytest.fixture()
def describe(tmp_path, linear_graph):
    """Make a description with its network beside it; ``changes`` are (old, new) in its text."""

    def make(folder="a", content=None, *, name="mine", changes=()):
        (tmp_path / folder).mkdir(exist_ok=True)
        content = linear_graph(WEIGHTS) if content is None else content
        (tmp_path / folder / "net.onnx").write_bytes(content)
        text = DESCRIPTION.format(name=name, sha256=hashlib.sha256(content).hexdigest())
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / folder / "mine.toml"
        path.write_text(text)
        return path

    return make


def score(bundle, colour):
    image = np.full((64, 64, 3), colour, np.uint8)
    scorer = BundleScorer(bundle)
    return scorer.score([scorer.prepare(image, FACE)] * 3)


def test_shipped_descriptions_are_whole():
    shipped = described_models()
    assert {"minifasnet-v2se-celeba-spoof", "silent-face"} <= shipped.keys()
    for name, path in shipped.items():
        model = read_described(path)
        assert model.name == name and model.license and model.scope
        for network in model.networks:
            assert network.url.startswith("https://") and network.bytes
            assert network.preprocess.detector == "yunet"


def test_the_guide_shows_a_valid_description_and_every_shipped_one(tmp_path):
    guide = (Path(__file__).parents[4] / "docs" / "how-to" / "add-a-network.md").read_text(encoding="utf-8")
    example = guide.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "example.toml").write_text(example)
    assert read_described(tmp_path / "example.toml").name == "mynet"
    rows = {line.split("|")[1].strip(" `"): line for line in guide.splitlines() if line.startswith("| `")}
    for name, path in described_models().items():
        assert read_described(path).license in rows[name]


def test_listing_downloads_nothing_and_tells_what_is_at_hand(no_network, home, tmp_path, monkeypatch, describe):
    before = {entry.name: entry for entry in list_catalog()}
    assert before["silent-face"].state == "to download" and before["silent-face"].size == 1743581 + 1742335
    add_model(describe())
    (user_folder() / "mine" / "net.onnx").unlink()
    mine = next(entry for entry in list_catalog() if entry.name == "mine")
    assert (mine.state, mine.size, mine.license) == ("missing", None, "MIT")
    monkeypatch.setenv("FACEPAD_MODELS", str(tmp_path / "a"))
    mine = next(entry for entry in list_catalog() if entry.name == "mine")
    assert (mine.state, mine.size) == ("here", (tmp_path / "a" / "net.onnx").stat().st_size)
    assert no_network == []


def test_an_added_model_scores_by_its_name(describe):
    added = add_model(describe())
    found = find_model("mine").read()
    assert found.description == added.description and found.files == added.files
    expected = (2 * 51 - 2 * 204) / 255
    assert score(found, (204, 0, 51)).logits == pytest.approx([expected] * 3, abs=1e-5)
    assert score(found, (204, 0, 51)).values == pytest.approx(sigmoid(np.array([expected] * 3)), abs=1e-6)


def test_the_publishers_threshold_says_that_it_is_the_publishers(describe):
    threshold = add_model(describe()).description.threshold
    assert threshold.value == 0.25 and threshold.criterion == "0.25"
    assert threshold.origin.source == "stated by the publisher: its README" and threshold.origin.split is None
    assert Threshold.from_dict(threshold.to_dict()) == threshold


def test_a_described_calibration_and_its_threshold_name_their_data(describe):
    given = 'value = 0.25\nstated = "its README"\n'
    ours = 'value = 0.6\nchosen_on = "our dev set"\nbona_fide = 9\nattack = 7\nnotes = ["ACER 9 % elsewhere"]\n'
    calibration = '[calibration]\nslope = 2.0\noffset = -1.0\nsource = "our dev set"\n\n[threshold]\n'
    bundle = add_model(describe("a", changes=[(given, ours), ("[threshold]\n", calibration)]))
    threshold = bundle.description.threshold
    assert (threshold.value, threshold.criterion, threshold.origin.source) == (0.6, "eer", "our dev set")
    assert (threshold.origin.n_bona_fide, threshold.origin.n_attack) == (9, 7)
    assert [note.text for note in threshold.origin.notes] == ["ACER 9 % elsewhere"]
    logit = -1.2
    assert score(bundle, (204, 0, 51)).values == pytest.approx(sigmoid(np.array([2 * logit - 1] * 3)), abs=1e-6)


def test_described_presets_name_their_data_and_need_them(describe):
    given = 'value = 0.25\nstated = "its README"\n'
    ours = 'value = 0.6\nchosen_on = "our dev set"\nbona_fide = 9\nattack = 7\n'
    preset = "[presets.strict]\nvalue = 0.8\napcer = [0.01, 0.0, 0.1]\nbpcer = [0.2, 0.1, 0.4]\n\n[[networks]]"
    [strict] = add_model(describe("a", changes=[(given, ours), ("[[networks]]", preset)])).description.presets
    assert (strict.name, strict.threshold.value, strict.threshold.origin.source) == ("strict", 0.8, "our dev set")
    assert ((strict.apcer.high, strict.apcer.n), (strict.bpcer.low, strict.bpcer.n)) == ((0.1, 7), (0.1, 9))
    for changes, message in (
        ([("[[networks]]", preset)], "presets need a threshold with chosen_on"),
        ([(given, ours), ("[[networks]]", preset.replace("strict", "loose"))], "loose"),
        ([(given, ours), ("[[networks]]", preset.replace("0.4]", "4]"))], "presets.bpcer.2: input should be less"),
    ):
        with pytest.raises(ModelError, match=message):
            add_model(describe("b", name="other", changes=changes))


@pytest.mark.parametrize("origin", ["", 'stated = "its README"\nchosen_on = "our dev set"\n'])
def test_a_threshold_has_one_origin(describe, origin):
    with pytest.raises(ModelError, match="a threshold needs one of stated and chosen_on"):
        add_model(describe("a", changes=[('stated = "its README"\n', origin)]))


def test_the_default_model_states_its_errors_and_terms():
    model = read_described(described_models()[DEFAULT_MODEL])
    assert model.threshold.chosen_on and any("to expect elsewhere" in note for note in model.threshold.notes)
    assert model.calibration.source and model.shipping.answer == "ask" and all(one.url for one in model.networks)


def test_a_graph_for_one_image_at_a_time_takes_batches(describe, linear_graph):
    one = add_model(describe("a", linear_graph(WEIGHTS, batch=1)))
    many = add_model(describe("b", name="other"))
    assert score(one, (3, 200, 90)).logits == pytest.approx(score(many, (3, 200, 90)).logits)


def test_such_a_graph_takes_batches_in_openvino_too(describe, linear_graph):
    pytest.importorskip("openvino")
    bundle = add_model(describe("a", linear_graph(WEIGHTS, batch=1)))
    scorer = BundleScorer(bundle, engine="openvino")
    image = np.full((64, 64, 3), (204, 0, 51), np.uint8)
    scores = scorer.score([scorer.prepare(image, FACE)] * 3)
    assert scores.logits == pytest.approx([-1.2] * 3, abs=1e-3)


def test_blue_first_graphs_get_blue_first(describe):
    swapped = [('dtype = "float32"', 'dtype = "float32"\nchannels = "bgr"')]
    bundle = add_model(describe("a", changes=swapped))
    assert score(bundle, (204, 0, 51)).logits == pytest.approx([1.2] * 3, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [("crop = 1.0", "crap = 1.0")],
            "unknown key 'networks.0.preprocess.crap' .did you mean 'networks.0.preprocess.crop'",
        ),
        ([("license", "licence")], "unknown key 'licence' .did you mean 'license'"),
        ([('title = "a network of two logits"', "")], "title is missing"),
        ([('kind = "logits"', 'kind = "logit s"')], "networks.0.output.kind: input should be 'logit', 'logits'"),
        ([("size = [16, 16]", 'size = [16, 16]\ndetector = "yunnet"')], "unknown detector 'yunnet' .did you mean"),
        ([('file = "net.onnx"', 'file = "../net.onnx"')], "networks.0.file: "),
        ([("sha256 = ", "sha_256 = ")], "unknown key 'networks.0.sha_256' .did you mean 'networks.0.sha256'"),
        ([("value = 0.25", "value = 1.25")], "threshold.value: input should be less than or equal to 1, got 1.25"),
        ([('name = "mine"', 'name = "My Net"')], "name: string should match"),
        ([("scale = 0.00392156862745098", "scale = nan")], "networks.0.input.scale: input should be"),
        ([("[networks.input]", "[networks.input")], "mine.toml cannot be read"),
        ([('layout = "nchw"', 'layout = "nhwc"')], "does not fit its description"),
        ([("size = [16, 16]", "size = [24, 24]")], "does not fit its description"),
        (
            [("bona_fide = 1", "bona_fide = 2")],
            r"expected \(N, classes\) with a class 2, but the network gives \(1, 2\)",
        ),
        ([('kind = "logits"', 'kind = "logit"')], "expected one logit per image"),
        ([('kind = "logits"', 'kind = "logits"\nname = "logits"')], "no output 'logits'; it has output"),
    ],
)
def test_a_wrong_description_is_refused_and_not_kept(home, changes, message, describe):
    with pytest.raises(ModelError, match=message) as caught:
        add_model(describe("a", changes=changes))
    assert "\n" not in str(caught.value)
    assert not home.exists()


def test_a_file_that_is_no_graph_or_gives_no_numbers_is_refused(home, describe, linear_graph):
    with pytest.raises(ModelError, match="cannot load the network"):
        add_model(describe("a", b"not a graph"))
    with pytest.raises(ModelError, match="gives nan for a grey image"):
        add_model(describe("a", linear_graph(np.full((3, 2), np.nan))))
    assert not home.exists()


def test_another_file_than_described_is_refused(tmp_path, monkeypatch, describe, linear_graph):
    path = describe()
    (tmp_path / "a" / "net.onnx").write_bytes(linear_graph([[1, 0], [0, 0], [0, 1]]))
    with pytest.raises(ModelError, match="net.onnx is not the file that model mine describes: its SHA-256 is"):
        add_model(path)
    add_model(describe())
    kept = user_folder() / "mine" / "net.onnx"
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(ModelError, match=f"{kept} is not the file"):
        find_model("mine").read()


def test_names_do_not_clash(describe):
    add_model(describe())
    with pytest.raises(OutputExistsError, match="there is a model mine already"):
        add_model(describe("b"))
    with pytest.raises(OutputExistsError, match="silent-face already"):
        add_model(describe("b", name="silent-face"))


def test_a_model_is_found_as_what_it_is_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuaa-research").mkdir()  # does not hide the listed model
    (tmp_path / "mine.facepad").write_bytes(b"not read yet")
    for model, kind in (
        ("nuaa-research", "shipped"),
        ("silent-face", "described"),
        ("mine.facepad", "file"),
        ("./nuaa-research", "run"),
        (Path("nuaa-research"), "run"),
    ):
        found = find_model(model)
        assert (found.kind, found.run is not None) == (kind, kind == "run")
    assert look_up("nowhere") is None


def test_unknown_names_get_the_nearest(describe):
    add_model(describe())
    with pytest.raises(ModelError, match="unknown model 'mime' .did you mean 'mine'"):
        find_model("mime").read()


def test_offline_says_what_to_get_and_where_to_put_it(no_network, home):
    with pytest.raises(ModelError) as caught:
        find_model("minifasnet-v2se-celeba-spoof").read()
    url = "https://github.com/facenox/face-antispoof-onnx/releases/download/v1.0.0/best_model.onnx"
    place = home / "models" / "minifasnet-v2se-celeba-spoof" / "minifasnet_v2se_128-celeba_spoof.onnx"
    assert f"get {url} on another machine and copy the file to {place}" in str(caught.value)
    assert no_network == [url]


def test_a_network_without_an_address_must_be_brought(no_network, home, describe):
    add_model(describe())
    kept = home / "models" / "mine" / "net.onnx"
    kept.unlink()
    with pytest.raises(ModelError, match=rf"needs the file net.onnx .from made by hand.; copy it to {kept}"):
        find_model("mine").read()
    assert no_network == []


def test_a_download_is_pinned_and_made_once(tmp_path, caplog, describe, server):
    address = [('file = "net.onnx"', f'file = "net.onnx"\nurl = "{server.url}/net.onnx"')]
    path = describe("a", changes=address)
    (tmp_path / "a" / "net.onnx").rename(server.folder / "net.onnx")
    with caplog.at_level("INFO", logger="facepad"):
        add_model(path)
        find_model("mine").read()
    assert [request.path for request in server.requests] == ["/net.onnx"]
    assert caplog.text.count("licence: MIT") == 1


@pytest.mark.models
def test_the_celeba_spoof_network_runs_as_described(models_folder):
    if not (models_folder / "minifasnet_v2se_128-celeba_spoof.onnx").is_file():
        pytest.skip("the network is not there")
    bundle = find_model("minifasnet-v2se-celeba-spoof").read()
    check_model(bundle)
    assert bundle.description.threshold.value == 0.5


def test_a_folder_that_is_no_run_is_refused_without_torch_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "facepad.modelfile.runs", None)
    with pytest.raises(ModelError, match=r"photos holds no trained model \(not a run folder\)"):
        (tmp_path / "photos").mkdir()
        find_model(tmp_path / "photos").read()


def test_card_of_the_distilled_model_is_in_its_file_and_tells_its_threshold_presets_and_weakness():
    card = (Path(__file__).parents[4] / "docs" / "model-cards" / "distilled-research.md").read_text(encoding="utf-8")
    bundle = find_model("distilled-research").read()
    assert bundle.files["CARD.md"].decode() == card
    threshold, presets = bundle.description.threshold, bundle.description.presets
    assert f"threshold {threshold.value:.6g} (criterion {threshold.criterion.upper()})" in card
    assert f"{threshold.origin.n_bona_fide} bona fide images and {threshold.origin.n_attack} attacks" in card
    assert len(presets) == 3 and all(str(preset) in card for preset in presets)
    [weak] = [note.text for note in bundle.description.calibration.notes if note.kind is NoteKind.WEAK]
    assert f"| weak | {weak.removeprefix('weak: ')}" in card


def test_shipped_distilled_model_decides_and_carries_its_licence_and_card():
    bundle = find_model("distilled-research").read()
    assert 0 < bundle.description.threshold.value < 1
    assert any("to expect elsewhere" in note.text for note in bundle.description.threshold.origin.notes)
    assert "research only" in bundle.description.scope and bundle.description.facts["shipping"]["answer"] == "no"
    assert {"LICENSE", "CARD.md"} <= set(bundle.files)
    scorer = BundleScorer(bundle, threads=1)
    scores = scorer.score([scorer.prepare(np.full((99, 99, 3), 127, np.uint8), Box(20, 20, 80, 80))])
    assert 0 <= scores.values[0] <= 1


def test_presets_of_the_default_model_are_those_of_its_page():
    page = (Path(__file__).parents[4] / "docs" / "results" / "default-model.md").read_text(encoding="utf-8")
    for name, preset in read_described(described_models()[DEFAULT_MODEL]).presets.items():
        shown = [f"{preset.value:.4f}"]
        shown += [
            "{:.2f} ({:.2f} to {:.2f})".format(*(100 * end for end in each)) for each in (preset.apcer, preset.bpcer)
        ]
        assert f"| {name} | {' | '.join(shown)} |" in page
