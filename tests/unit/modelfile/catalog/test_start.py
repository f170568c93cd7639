"""Where training starts from: a trained model's weights are taken whole, and only where they fit."""

import json

import pytest

torch = pytest.importorskip("torch")

from facepad.errors import ModelError  # noqa: E402
from facepad.modelfile.bundle import (  # noqa: E402
    Bundle,
    Description,
    InputFormat,
    Network,
    OutputFormat,
    write_bundle,
)
from facepad.modelfile.catalog import find_trained  # noqa: E402
from facepad.modelfile.catalog.start import graph_format, starting_network  # noqa: E402
from facepad.modelfile.preprocess import PreprocessSpec  # noqa: E402
from facepad.modelfile.run_folder import DESCRIPTION_FILE, WEIGHTS_FILE  # noqa: E402
from facepad.modelfile.runs import TrainedModel, load_trained, save_trained  # noqa: E402
from facepad.modelfile.scorers.run_scorer import bundle_of  # noqa: E402
from facepad.models import GraphFormat, create_model  # noqa: E402
from facepad.training.devices import Devices  # noqa: E402
from facepad.training.recipe import validate_recipe  # noqa: E402
from facepad.workflow.train import train_run  # noqa: E402

SMALL = {"width": 0.25}
SPEC = PreprocessSpec(crop_scale=1.5, size=(32, 32))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder whose weights no seed would give."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    network = create_model("mobilenet_v2", weights="none", **SMALL).eval()
    torch.nn.init.constant_(next(network.head.parameters()), 0.125)
    save_trained(folder, TrainedModel(network, "mobilenet_v2", SMALL, SPEC, {}))
    return folder


@pytest.fixture(scope="module")
def model_file(run):
    bundle = bundle_of(load_trained(run))
    parts = {part: (run / part).read_bytes() for part in (WEIGHTS_FILE, DESCRIPTION_FILE)}
    return write_bundle(run.parent / "run.facepad", Bundle(bundle.description, {**bundle.files, **parts}))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))


def test_a_run_and_its_model_file_give_all_their_weights(run, model_file):
    trained = load_trained(run)
    for source in (run, model_file):
        network, start = starting_network("mobilenet_v2", str(source), SMALL)
        state = network.state_dict()
        assert state.keys() == trained.network.state_dict().keys()
        assert all(torch.equal(value, state[name]) for name, value in trained.network.state_dict().items())
        assert start == {"weights": str(source), "weights_sha256": trained.weights_sha256}


def test_an_option_that_only_repeats_the_default_is_no_difference(run):
    assert starting_network("mobilenet_v2", str(run), {**SMALL, "dropout": 0.3})[1]["weights"] == str(run)


def test_a_network_without_depth_map_goes_on_from_one_with_it():
    trained = find_trained("nuaa-research")
    network, start = starting_network("attention_fusion", "nuaa-research", {"depth": False})
    state, theirs = network.state_dict(), trained.network.state_dict()
    assert {name for name in theirs if name not in state} == {"depth_head.weight", "depth_head.bias"}
    assert all(torch.equal(value, theirs[name]) for name, value in state.items())
    assert start["weights_sha256"] == trained.weights_sha256


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet34", {}, "is a mobilenet_v2, but the recipe trains a resnet34"),
        ("mobilenet_v2", {"width": 0.5}, "built with width = 0.25, but the recipe has 0.5; .* --set model.width=0.25"),
        ("mobilenet_v2", {"width": 0.25, "dropout": 0.1}, "built with dropout = 0.3, but the recipe has 0.1"),
    ],
)
def test_another_architecture_or_option_is_named(run, name, options, message):
    with pytest.raises(ModelError, match=message):
        starting_network(name, str(run), options)


def test_what_holds_no_weights_is_refused(tmp_path, run, model_file):
    graphs = write_bundle(tmp_path / "graphs.facepad", bundle_of(load_trained(run)))
    with pytest.raises(ModelError, match=r"graphs.facepad: the model holds no model.json, only graphs"):
        starting_network("mobilenet_v2", str(graphs), SMALL)
    with pytest.raises(ModelError, match="not a run folder"):
        starting_network("mobilenet_v2", str(tmp_path), SMALL)
    with pytest.raises(ModelError, match="unknown weights 'imagnet' .did you mean 'imagenet'.*or a .safetensors"):
        starting_network("mobilenet_v2", "imagnet", SMALL)
    with pytest.raises(ModelError, match="gone.safetensors does not exist"):
        starting_network("mobilenet_v2", "gone.safetensors", SMALL)


def test_changed_weights_in_a_model_file_are_refused(tmp_path, run):
    bundle = bundle_of(load_trained(run))
    weights = bytearray((run / WEIGHTS_FILE).read_bytes())
    weights[-1] ^= 1
    parts = {WEIGHTS_FILE: bytes(weights), DESCRIPTION_FILE: (run / DESCRIPTION_FILE).read_bytes()}
    described = Description.model_validate(bundle.description.model_dump())
    path = write_bundle(tmp_path / "changed.facepad", Bundle(described, {**bundle.files, **parts}))
    with pytest.raises(ModelError, match="is not the file that was trained"):
        starting_network("mobilenet_v2", str(path), SMALL)


def test_a_run_that_went_on_from_a_model_remembers_it(tmp_path, tiny_manifest, run, model_file):
    recipe = validate_recipe(
        {
            "name": "again",
            "summary": "",
            "model": {"name": "mobilenet_v2", "weights": str(model_file), "width": 0.25},
            "preprocess": {"crop": 1.5, "size": 32},
            "train": {"batch_size": 8},
            "stages": [{"name": "head", "trainable_from": "head", "epochs": 1, "lr": 1e-9, "batch_norm": "frozen"}],
        },
        "test",
    )
    train_run(recipe, tiny_manifest, tmp_path / "again", devices=Devices("cpu"))
    description = json.loads((tmp_path / "again" / "model.json").read_text())
    before = load_trained(run)
    assert description["facts"]["start"] == {"weights": str(model_file), "weights_sha256": before.weights_sha256}
    after = load_trained(tmp_path / "again").network.state_dict()
    for name, value in before.network.state_dict().items():  # at such a learning rate nothing moves
        assert torch.allclose(after[name], value, atol=1e-6), name


def test_graph_of_a_network_is_trained_in_the_format_of_its_description():
    entry = InputFormat(layout="nchw", channels="bgr", dtype="float32", scale=2.0, mean=(1, 2, 3), std=(4, 5, 6))
    output = OutputFormat(name="live", kind="logits", bona_fide=1, depth="depth")
    network = Network(name="a", files=("a.onnx",), preprocess=SPEC, input=entry, output=output)
    expected = GraphFormat((32, 32), "nchw", "bgr", "float32", 2.0, (1, 2, 3), (4, 5, 6), "live", "logits", 1)
    assert graph_format(network) == expected
