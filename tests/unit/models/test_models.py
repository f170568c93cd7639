"""The networks: torchvision's names and sizes, stages that can be cut, weights that fit or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from facepad.errors import ModelError
from facepad.models import MODELS, create_model, freeze, to_onnx
from helpers.tiny_network import TinyNetwork


def _all(given):
    """What a network gave, as `StagedModel.outputs` names it."""
    return given if isinstance(given, tuple) else (given,)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_maps_pixels_to_one_logit_each(name):
    model = create_model(name, weights="none").eval()
    with torch.inference_mode():
        assert _all(model(torch.rand(3, 3, 64, 96)))[0].shape == (3,)


@pytest.mark.parametrize("name", MODELS)
def test_run_in_two_parts_equals_run_in_one(name):
    model = create_model(name, weights="none").eval()
    pixels = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        whole = model(pixels)
        for cut in list(model.stages())[1::5]:
            torch.testing.assert_close(model.run(model.run(pixels, stop=cut), start=cut), whole)


@pytest.mark.parametrize("name", MODELS)
def test_frozen_network_scores_the_same_for_any_number_of_images(name):
    torch.manual_seed(0)
    model = create_model(name, weights="none").train()
    model(torch.rand(8, 3, 64, 64))  # moves the running statistics away from 0 and 1
    frozen = freeze(model, (64, 96), model.outputs)
    assert model.training  # freezing leaves the network as it was
    for count in (1, 3):
        images = torch.randint(0, 256, (count, 64, 96, 3), dtype=torch.uint8)
        with torch.inference_mode():
            expected = _all(model.eval()(images.permute(0, 3, 1, 2) / 255))
        for name, value in zip(model.outputs, expected, strict=True):
            np.testing.assert_allclose(frozen(images.numpy())[name], value.numpy(), rtol=1e-3, atol=1e-4)
        model.train()


def test_one_network_gives_the_same_graph_in_each_export():
    model = TinyNetwork()
    assert to_onnx(model, (32, 32), model.outputs) == to_onnx(model, (32, 32), model.outputs)


def test_mobilenet_parameter_counts_are_the_papers():
    with torch.device("meta"):
        model = create_model("mobilenet_v2", weights="none")
    assert sum(parameter.numel() for parameter in model.parameters()) == 2_223_872 + 1281
    assert model.freeze_before("features.12.conv.1") == "features.12"
    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == 1_862_721


def test_mobilenet_turns_160_pixels_into_5_by_5_by_1280():
    model = create_model("mobilenet_v2", weights="none").eval()
    with torch.inference_mode():
        assert model.run(torch.rand(1, 3, 160, 160), stop="pool").shape == (1, 1280, 5, 5)


def test_resnet34_parameter_count_is_21_8_million_with_its_1000_classes():
    with torch.device("meta"):
        model = create_model("resnet34", weights="none")
    trunk = sum(parameter.numel() for name, parameter in model.named_parameters() if not name.startswith("head"))
    assert trunk + 512 * 1000 + 1000 == 21_797_672


def test_resnet_loss_on_its_difference_equals_softmax_cross_entropy():
    model = create_model("resnet34", weights="none").eval()
    features, labels = torch.rand(5, 512), torch.tensor([0, 1, 1, 0, 1])
    with torch.inference_mode():
        expected = torch.nn.functional.cross_entropy(model.head.fc(features), labels)
        got = torch.nn.functional.binary_cross_entropy_with_logits(model.head(features), labels.float())
    torch.testing.assert_close(got, expected)


def test_fasnet_trunk_is_vgg16s_under_torchvisions_names():
    features = create_model("fasnet", weights="none").features
    convolutions = {name for name, _ in features.named_parameters() if name.endswith("weight")}
    assert convolutions == {f"{n}.weight" for n in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}
    trunk = sum(parameter.numel() for parameter in features.parameters())
    classifier = (25088 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    assert trunk + classifier == 138_357_544  # VGG-16 with its 1000 classes


def test_fasnet_trains_its_last_block_and_its_top():
    model = create_model("fasnet", weights="none")
    assert model.freeze_before("features.24") == "features.24"
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trainable == 3 * (9 * 512 * 512 + 512) + (3 * 3 * 512 + 1) * 256 + 256 + 1


def test_fasnet_takes_the_whole_output_at_96_pixels_and_resizes_others():
    model = create_model("fasnet", weights="none").eval()
    with torch.inference_mode():
        raw = model.run(torch.rand(1, 3, 96, 96), stop="grid")
        assert raw.shape == (1, 512, 3, 3)
        assert torch.equal(model.run(raw, start="grid", stop="head"), raw)
        assert model.run(torch.rand(1, 512, 7, 5), start="grid", stop="head").shape == (1, 512, 3, 3)


def test_narrow_networks_are_smaller():
    sizes = [
        sum(parameter.numel() for parameter in create_model("mobilenet_v2", weights="none", width=width).parameters())
        for width in (1.0, 0.75, 0.5, 0.25)
    ]
    assert sizes == sorted(sizes, reverse=True)


def test_freeze_before_freezes_all_that_comes_first():
    model = create_model("mobilenet_v2", weights="none")
    assert model.freeze_before("head") == "head"
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == {
        "head.fc.weight",
        "head.fc.bias",
    }
    assert model.freeze_before(None) == "features.0"
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mobilenetv2"}, "did you mean 'mobilenet_v2'"),
        ({"name": "mobilenet_v2", "weights": "none", "widht": 0.5}, "did you mean 'width'"),
        ({"name": "mobilenet_v2", "weights": "none", "width": 0.6}, "one of 1.0, 0.75, 0.5, 0.25"),
        ({"name": "mobilenet_v2", "width": 0.5}, "no public ImageNet weights for width 0.5"),
        ({"name": "mobilenet_v2", "weights": "absent.pth"}, "does not exist"),
    ],
)
def test_create_model_refuses_what_it_cannot_build(arguments, message):
    with pytest.raises(ModelError, match=message):
        create_model(**arguments)


def test_freeze_before_names_the_choices():
    with pytest.raises(ModelError, match="choices"):
        create_model("mobilenet_v2", weights="none").freeze_before("feature.3")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_from_a_file_reach_the_trunk_and_leave_the_head(tmp_path: Path, suffix):
    donor = create_model("mobilenet_v2", weights="none")
    state = {name: value for name, value in donor.state_dict().items() if name.startswith("features")}
    state["classifier.1.weight"] = torch.zeros(1000, 1280)
    path = tmp_path / f"trunk{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    torch.manual_seed(1)
    model = create_model("mobilenet_v2", weights=str(path))
    torch.testing.assert_close(model.features[5].conv[0][0].weight, donor.features[5].conv[0][0].weight)
    assert not torch.equal(model.head.fc.weight, donor.head.fc.weight)


def test_weights_with_wrong_names_or_shapes_are_named(tmp_path: Path):
    state = create_model("mobilenet_v2", weights="none", width=0.5).state_dict()
    save_file(
        {name: value for name, value in state.items() if name.startswith("features")}, tmp_path / "half.safetensors"
    )
    with pytest.raises(ModelError, match=r"features.0.0.weight has shape \(16, 3, 3, 3\), expected \(32, 3, 3, 3\)"):
        create_model("mobilenet_v2", weights=str(tmp_path / "half.safetensors"))
    with pytest.raises(ModelError, match=r"missing \(conv1.weight"):
        create_model("resnet34", weights=str(tmp_path / "half.safetensors"))


def test_foreign_weight_files_are_refused(tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (print, ("unpickled!",))

    torch.save({"features": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "text.safetensors").write_text("hello")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("evil.pth", "text.safetensors", "list.pth"):
        with pytest.raises(ModelError, match=name):
            create_model("mobilenet_v2", weights=str(tmp_path / name))


@pytest.mark.models
def test_imagenet_weights_load_into_the_trunk(models_folder: Path):
    torch.manual_seed(0)
    model = create_model("mobilenet_v2").eval()
    with torch.inference_mode():
        pooled = model.run(torch.rand(1, 3, 224, 224), stop="head")
    assert pooled.mean() > 0.05, "random weights give almost nothing here"


def test_models_table_lists_options_that_build():
    for name, entry in MODELS.items():
        assert entry.summary
        values = {"width": 0.5, "dropout": 0.1, "deep_tap": 13, "channels": 8, "alpha": "fixed"}
        with torch.device("meta"):  # the shapes without their values
            create_model(name, weights="none", **{option: values.get(option, False) for option in entry.options})


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("depth", [None, True, False])
def test_models_table_knows_which_networks_give_depth(name, depth):
    options = {} if depth is None or "depth" not in MODELS[name].options else {"depth": depth}
    with torch.device("meta"):  # the shapes without their values
        given = create_model(name, weights="none", **options).outputs
    assert MODELS[name].gives_depth(options) == ("depth" in given)


def test_absent_imagenet_weights_say_how_to_get_them(no_network):
    with pytest.raises(ModelError, match="cannot download the ImageNet weights of resnet34") as caught:
        create_model("resnet34")
    for words in ("https://download.pytorch.org/models/resnet34", "--set model.weights=none", "--set model.weights="):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert no_network == ["https://download.pytorch.org/models/resnet34-b627a593.pth"]
