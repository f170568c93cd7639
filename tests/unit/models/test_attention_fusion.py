"""AttentionFusion: its size, its parts and switches, its loss against hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facepad.errors import ModelError
from facepad.models import AttentionFusion, create_model, freeze
from facepad.models.attention import Attention, resize_maps, resize_matrix
from facepad.training.losses import depth_loss, label_loss
from facepad.training.settings import DepthSettings

SWITCHES = [
    {},
    {"deep_tap": 13, "channels": 16},
    {"attention": False},
    {"fusion": False},
    {"alpha": "fixed"},
    {"depth": False},
    {"attention": False, "fusion": False, "depth": False},
]


def _multiply_adds(model: nn.Module, size: int) -> int:
    """Of convolutions and of the resizing's matrix products, counted as the network runs."""
    counted = 0

    def count(module: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        height, width = output.shape[2:]
        counted += height * width * module.weight.numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 3, size, size))
    for side, channels in ((size // 4, 64), (size // 8, 64), (size // 32, 64)):
        counted += 32 * side * side * channels + 32 * 32 * side * channels
    return counted


@pytest.mark.parametrize(("tap", "parameters", "multiply_adds"), [(17, 2.5e6, 0.38e9), (13, 1.0e6, 0.30e9)])
def test_size_stays_below_what_was_set(tap, parameters, multiply_adds):
    model = AttentionFusion(deep_tap=tap)
    assert sum(parameter.numel() for parameter in model.parameters()) < parameters
    assert _multiply_adds(model, 224) < multiply_adds


def test_there_is_no_fully_connected_layer():
    assert not [module for module in AttentionFusion().modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("options", SWITCHES)
@pytest.mark.parametrize("size", [(64, 64), (96, 128)])
def test_every_switch_gives_what_outputs_names(options, size):
    model = AttentionFusion(**options).eval()
    with torch.inference_mode():
        given = model(torch.rand(2, 3, *size))
    given = given if isinstance(given, tuple) else (given,)
    shapes = {"logit": (2,), "depth": (2, 1, 32, 32)}
    assert [tuple(value.shape) for value in given] == [shapes[name] for name in model.outputs]
    if "depth" in model.outputs:
        assert 0 <= float(given[1].min()) <= float(given[1].max()) <= 1


@pytest.mark.parametrize("options", SWITCHES)
def test_every_parameter_gets_a_gradient(options):
    torch.manual_seed(0)
    model = AttentionFusion(**options)
    given = model(torch.rand(4, 3, 64, 64))
    logit, depth = given if isinstance(given, tuple) else (given, torch.zeros(()))
    (label_loss(logit, torch.tensor([0.0, 1, 0, 1])) + depth.square().mean()).backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []


@pytest.mark.parametrize("prefix", ["features.4", "features.12", "head"])
def test_what_starts_at_random_learns_whatever_is_frozen_of_the_trunk(prefix):
    model = AttentionFusion()
    model.freeze_before(prefix)
    if prefix != "head":
        frozen = [n for n, p in model.named_parameters() if n.startswith(model.own) and not p.requires_grad]
        assert frozen == []
    assert model.head.weight.requires_grad


def test_switches_remove_their_parts():
    assert not any(isinstance(module, Attention) for module in AttentionFusion(attention=False).modules())
    assert not list(AttentionFusion(alpha="fixed").alpha.parameters())
    assert AttentionFusion(fusion=False).taps == (17,)
    torch.testing.assert_close(AttentionFusion(alpha="fixed").alpha(), torch.full((3,), 1 / 3))
    with pytest.raises(ModelError, match="deep tap must be one of 17, 13, got 12"):
        AttentionFusion(deep_tap=12)
    with pytest.raises(ModelError, match="channels must be at least 1, got 0"):
        AttentionFusion(channels=0)
    with pytest.raises(ModelError, match="alpha must be 'learned' or 'fixed'"):
        create_model("attention_fusion", weights="none", alpha="mean")


def test_alpha_weighs_the_taps_by_its_softmax():
    model = AttentionFusion(attention=False).eval()
    with torch.no_grad():
        model.alpha.logits.copy_(torch.tensor([0.0, np.log(2), np.log(5)]))
    torch.testing.assert_close(model.alpha(), torch.tensor([1 / 8, 2 / 8, 5 / 8]))
    with torch.inference_mode():
        x = model.run(torch.rand(2, 3, 64, 64), stop="fuse")
        maps, block = [], x
        for index in range(4, 18):
            maps += [x] if index == 4 else []
            block = model.features[index](block)
            maps += [block] if index in (6, 17) else []
        fused = sum(
            share * resize_maps(project(tap), (32, 32))
            for share, project, tap in zip((1 / 8, 2 / 8, 5 / 8), model.project, maps, strict=True)
        )
        logit, _ = model.run(x, start="fuse")
        torch.testing.assert_close(logit, model.head(fused).mean(dim=(1, 2, 3)), rtol=1e-4, atol=1e-5)


def test_frozen_graph_gives_the_same_maps():
    torch.manual_seed(1)
    model = AttentionFusion().eval()
    frozen = freeze(model, (64, 64), model.outputs)
    images = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logit, depth = model(images.permute(0, 3, 1, 2) / 255)
    given = frozen(images.numpy())
    np.testing.assert_allclose(given["logit"], logit.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(given["depth"], depth.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.models
def test_imagenet_trunk_loads(models_folder):
    for tap in (17, 13):
        model = create_model("attention_fusion", deep_tap=tap)
        plain = create_model("mobilenet_v2")
        torch.testing.assert_close(model.features[tap].conv[0][0].weight, plain.features[tap].conv[0][0].weight)


@pytest.mark.parametrize(("inputs", "outputs"), [(56, 32), (28, 32), (7, 32), (32, 32), (4, 2)])
def test_resize_matrix_is_linear_interpolation(inputs, outputs):
    matrix = resize_matrix(inputs, outputs)
    x = torch.rand(1, 1, inputs, 8)
    expected = nn.functional.interpolate(x, (outputs, 8), mode="bilinear", antialias=True, align_corners=False)
    torch.testing.assert_close(matrix @ x[0, 0], expected[0, 0], rtol=1e-4, atol=1e-5)


def test_attention_scales_channels_and_places_between_0_and_1():
    torch.manual_seed(0)
    x = torch.rand(2, 24, 8, 8) + 0.1
    share = Attention(24)(x).detach() / x
    assert 0 < float(share.min()) < float(share.max()) < 1
    ratio = share[0, 0] / share[0, 1]  # the product of a channel's and a place's weight
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))


def test_depth_loss_by_hand():
    label = torch.zeros(2, 1, 2, 2)
    label[0, 0, 0, 0] = 0.5  # one place of face; the second map is an attack's
    predicted = torch.tensor([[[[0.1, 0.2], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.4]]]])
    of_face, of_rest, attack = 0.4**2, 0.2**2 / 3, 0.4**2 / 4
    assert float(depth_loss(predicted, label, DepthSettings(weight=2.0))) == pytest.approx(
        2 * ((of_face + of_rest) / 2 + attack) / 2
    )
    assert float(depth_loss(predicted, label, DepthSettings(regions="map"))) == pytest.approx(
        (0.4**2 + 0.2**2 + 0.4**2) / 8
    )


def test_contrastive_loss_by_hand():
    label, predicted = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    predicted[0, 0, 1, 1] = 0.3  # every neighbour differs from it by -0.3
    loss = depth_loss(predicted, label, DepthSettings(regions="map", contrast=0.5))
    assert float(loss) == pytest.approx(0.3**2 / 9 + 0.5 * 0.3**2)
    shifted = depth_loss(label + 0.5, label, DepthSettings(regions="map", contrast=1.0))
    assert float(shifted) == pytest.approx(0.25)  # a constant has no contrast


def test_joint_label_loss_by_hand():
    logits, labels = torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0])
    expected = (3 * np.log(2) + 0.5 * np.log(1 + np.exp(-2))) / 2
    assert float(label_loss(logits, labels, class_weights=(3.0, 0.5))) == pytest.approx(expected)
    smooth = 0.9 * np.log(1 + np.exp(-2)) + 0.1 * np.log(1 + np.exp(2))
    assert float(label_loss(logits[1:], labels[1:], smoothing=0.2)) == pytest.approx(smooth)
