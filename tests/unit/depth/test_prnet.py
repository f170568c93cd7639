"""PRNet without its weights: layers against TensorFlow's rules, the conversion, and position maps of a known shape."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from facepad.depth import EXTENT, SIZE, create_labeller
from facepad.depth.positions import PRNET_SIDE, from_prnet, positions_to_depth, prnet_square
from facepad.depth.prnet import MASK, PositionNet, SameConvolution, SameTransposedConvolution, from_tensorflow
from facepad.errors import InputError, ModelError
from facepad.types import Box

BOX = Box(100, 100, 200, 200)


@pytest.fixture(scope="module")
def tool():
    path = Path(__file__).parents[3] / "tools" / "convert_prnet.py"
    spec = importlib.util.spec_from_file_location("convert_prnet", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the network -------------------------------------------------------------------------------------------------


def same_convolution(x, kernel, stride):
    """TensorFlow's "SAME" convolution by its definition: x (H, W, in), kernel (k, k, in, out)."""
    side, k = x.shape[0], kernel.shape[0]
    outputs = -(-side // stride)
    padding = max((outputs - 1) * stride + k - side, 0)
    padded = np.pad(x, ((padding // 2, padding - padding // 2),) * 2 + ((0, 0),))
    result = np.zeros((outputs, outputs, kernel.shape[3]))
    for row in range(outputs):
        for column in range(outputs):
            window = padded[row * stride : row * stride + k, column * stride : column * stride + k]
            result[row, column] = np.einsum("hwi,hwio->o", window, kernel)
    return result


def same_transposed(x, kernel, stride):
    """Its transpose: the gradient of that convolution by its input; x (H, W, in), kernel (k, k, out, in)."""
    side = x.shape[0] * stride
    k = kernel.shape[0]
    padding = max((x.shape[0] - 1) * stride + k - side, 0)
    full = np.zeros((side + padding, side + padding, kernel.shape[2]))
    for row in range(x.shape[0]):
        for column in range(x.shape[0]):
            spread = np.einsum("hwoi,i->hwo", kernel, x[row, column])
            full[row * stride : row * stride + k, column * stride : column * stride + k] += spread
    start = padding // 2
    return full[start : start + side, start : start + side]


def normalised(layer, result):
    """The layer's batch norm (in evaluation) and activation, by hand."""
    norm = layer.norm
    weights = [value.detach().numpy() for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
    scale, offset, mean, variance = weights
    return (result - mean) / np.sqrt(variance + 1e-3) * scale + offset


def randomised(layer):
    generator = torch.Generator().manual_seed(0)
    for name, value in layer.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + (0.5 if name.endswith("var") else -0.4))
    return layer.eval()


@pytest.mark.parametrize(("kernel", "stride"), [(4, 1), (4, 2), (1, 1), (1, 2)])
def test_convolution_pads_as_tensorflow_does(kernel, stride):
    layer = randomised(SameConvolution(3, 5, kernel, stride))
    x = np.random.default_rng(0).normal(size=(8, 8, 3)).astype(np.float32)
    weights = layer.conv.weight.detach().numpy().transpose(2, 3, 1, 0)
    expected = np.maximum(normalised(layer, same_convolution(x, weights, stride)), 0)
    with torch.inference_mode():
        made = layer(torch.from_numpy(x).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert made.shape == expected.shape and np.allclose(made, expected, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("last", [False, True])
def test_transposed_convolution_cuts_as_tensorflow_does(stride, last):
    layer = randomised(SameTransposedConvolution(3, 5, stride, last=last))
    x = np.random.default_rng(0).normal(size=(6, 6, 3)).astype(np.float32)
    weights = layer.conv.weight.detach().numpy().transpose(2, 3, 1, 0)
    expected = normalised(layer, same_transposed(x, weights, stride))
    expected = 1 / (1 + np.exp(-expected)) if last else np.maximum(expected, 0)
    with torch.inference_mode():
        made = layer(torch.from_numpy(x).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert made.shape == (6 * stride, 6 * stride, 5) and np.allclose(made, expected, atol=1e-4)


def parameters_by_hand():
    """Weights of every layer of resfcn256, counted from its description in the paper's code."""
    total, channels = 4 * 4 * 3 * 16 + 2 * 16, 16
    for level in range(5):
        for stride in (2, 1):
            outputs = 32 * 2**level
            half = outputs // 2
            total += channels * outputs if stride == 2 or channels != outputs else 0
            total += channels * half + 2 * half + 16 * half * half + 2 * half + half * outputs + 2 * outputs
            channels = outputs
    for outputs in [512] + [256] * 3 + [128] * 3 + [64] * 3 + [32] * 2 + [16] * 2 + [3] * 3:
        total += 16 * channels * outputs + 2 * outputs
        channels = outputs
    return total


def test_network_has_the_shapes_and_the_size_of_resfcn256():
    network = PositionNet().eval()
    assert sum(value.numel() for value in network.parameters()) == parameters_by_hand() == 13_353_618
    with torch.inference_mode():
        inner = network.stem(torch.zeros(1, 3, 256, 256))
        for block in network.blocks:
            inner = block(inner)
        assert inner.shape == (1, 512, 8, 8)
        positions = network(torch.rand(1, 3, 256, 256))
    assert positions.shape == (1, 3, 256, 256) and positions.min() >= 0 and positions.max() <= 1


# --- the conversion ----------------------------------------------------------------------------------------------


def made_up_checkpoint(seed=0):
    """Variables under the names and in the layouts that the authors' program gives them."""
    rng = np.random.default_rng(seed)
    variables = {"beta1_power": np.float32(0.9), "resfcn256/Conv/weights/Adam": np.zeros((4, 4, 3, 16), np.float32)}

    def layer(scope, shape, channels, norm=True):
        variables[f"resfcn256/{scope}/weights"] = rng.normal(0, 0.1, shape).astype(np.float32)
        if norm:
            batch_norm(f"{scope}/BatchNorm", channels)

    def batch_norm(scope, channels):
        for leaf in ("gamma", "beta", "moving_mean", "moving_variance"):
            variables[f"resfcn256/{scope}/{leaf}"] = rng.uniform(0.5, 1.5, channels).astype(np.float32)

    layer("Conv", (4, 4, 3, 16), 16)
    channels = 16
    for number in range(10):
        scope = "resBlock" if number == 0 else f"resBlock_{number}"
        outputs = 32 * 2 ** (number // 2)
        if number % 2 == 0:
            layer(f"{scope}/shortcut", (1, 1, channels, outputs), outputs, norm=False)
        layer(f"{scope}/Conv", (1, 1, channels, outputs // 2), outputs // 2)
        layer(f"{scope}/Conv_1", (4, 4, outputs // 2, outputs // 2), outputs // 2)
        layer(f"{scope}/Conv_2", (1, 1, outputs // 2, outputs), outputs, norm=False)
        batch_norm(f"{scope}/BatchNorm", outputs)
        channels = outputs
    for number, outputs in enumerate([512, 256, 256, 256, 128, 128, 128, 64, 64, 64, 32, 32, 16, 16, 3, 3, 3]):
        scope = "Conv2d_transpose" if number == 0 else f"Conv2d_transpose_{number}"
        layer(scope, (4, 4, outputs, channels), outputs)
        channels = outputs
    return variables


def test_conversion_takes_every_variable_to_its_place():
    variables = made_up_checkpoint()
    state = from_tensorflow(variables)
    network = PositionNet()
    network.load_state_dict(state)
    kernel = variables["resfcn256/resBlock_2/Conv_1/weights"]
    assert np.array_equal(network.blocks[2].second.conv.weight.detach(), kernel.transpose(3, 2, 0, 1))
    kernel = variables["resfcn256/Conv2d_transpose_16/weights"]
    assert network.upward[16].conv.weight[1, 2, 0, 3] == kernel[0, 3, 2, 1]
    assert np.array_equal(network.blocks[0].norm.running_var, variables["resfcn256/resBlock/BatchNorm/moving_variance"])
    taken = sum(value.numel() for name, value in state.items() if not name.endswith("num_batches_tracked"))
    left = [name for name in variables if "Adam" in name or "power" in name]
    assert taken == sum(value.size for name, value in variables.items() if name not in left)


def test_foreign_checkpoint_is_refused():
    variables = made_up_checkpoint()
    del variables["resfcn256/resBlock_3/Conv/weights"]
    with pytest.raises(ModelError, match="not a checkpoint of PRNet's resfcn256: variable resfcn256/resBlock_3/Conv"):
        from_tensorflow(variables)
    variables = made_up_checkpoint()
    variables["resfcn256/Conv/weights"] = np.zeros((3, 3, 3, 16), np.float32)
    with pytest.raises(ModelError, match=r"resfcn256/Conv/weights has shape \(16, 3, 3, 3\), expected"):
        from_tensorflow(variables)


def test_tool_writes_what_the_labeller_reads(tool, tmp_path, monkeypatch, capsys):
    places = np.flatnonzero(disc())
    (tmp_path / "face_ind.txt").write_text("\n".join(f"{place:.18e}" for place in places))  # as numpy.savetxt does
    checkpoint = made_up_checkpoint()
    checkpoint["resfcn256/Conv2d_transpose_16/BatchNorm/gamma"] *= 1e-9  # small triangles, which are soon drawn
    monkeypatch.setattr(tool, "read_checkpoint", lambda prefix: checkpoint)
    out = tmp_path / "prnet.safetensors"
    assert tool.main(["checkpoint", str(tmp_path / "face_ind.txt"), str(out)]) == 0
    assert np.array_equal(load_file(out)[MASK].numpy().astype(bool), disc())
    labeller = create_labeller("prnet", model=out)
    assert labeller.name == "prnet" and labeller.identity.startswith("prnet-1-")
    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    levels = labeller.depth(image, BOX)
    assert levels.shape == (SIZE, SIZE) and levels.dtype == np.uint8
    (tmp_path / "face_ind.txt").write_text("1 2 70000")
    assert tool.main(["checkpoint", str(tmp_path / "face_ind.txt"), str(out)]) == 2
    assert "expected numbers from 0 to 65535" in capsys.readouterr().err


def test_wrong_face_indexes_are_refused(tool, tmp_path):
    with pytest.raises(InputError, match=r"not PRNet's face_ind\.txt"):
        tool.read_mask(tmp_path / "none.txt")
    (tmp_path / "words.txt").write_text("some words")
    with pytest.raises(InputError, match=r"not PRNet's face_ind\.txt"):
        tool.read_mask(tmp_path / "words.txt")


def test_labeller_without_or_with_wrong_weights_says_what_to_do(tmp_path):
    with pytest.raises(ModelError, match=r"give --model .*tools/convert_prnet\.py"):
        create_labeller("prnet")
    with pytest.raises(ModelError, match="is not a file"):
        create_labeller("prnet", model=tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="not a .safetensors file"):
        create_labeller("prnet", model=tmp_path / "bad.safetensors")
    save_file({"features.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="other weights than PRNet's"):
        create_labeller("prnet", model=tmp_path / "other.safetensors")
    save_file(PositionNet().state_dict(), tmp_path / "maskless.safetensors")
    with pytest.raises(ModelError, match="first: face_mask"):
        create_labeller("prnet", model=tmp_path / "maskless.safetensors")


# --- positions to depth ------------------------------------------------------------------------------------------


def disc():
    """Points of a position map within a circle: the face. Outside such a part, PRNet's maps mean nothing."""
    steps = (np.arange(PRNET_SIDE) + 0.5) / PRNET_SIDE - 0.5
    return np.hypot(*np.meshgrid(steps, steps)) < 0.45


def ellipsoid_positions(turn=0.0):
    """A half ellipsoid with a bump, as a position map in PRNet's terms: unrolled, turned, larger z nearer."""
    u, v = np.meshgrid(*(((np.arange(PRNET_SIDE) + 0.5) / PRNET_SIDE - 0.5),) * 2)
    longitude, latitude = u * np.pi * 1.05, v * np.pi * 1.05
    bump = 1 + 0.15 * np.exp(-(longitude**2 + latitude**2) / 0.02)
    x = 0.3 * np.sin(longitude) * np.cos(latitude) * bump
    y = 0.36 * np.sin(latitude) * bump
    z = 0.3 * np.cos(longitude) * np.cos(latitude) * bump
    x, z = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
    return np.stack([0.5 + x, 0.5 + y, 0.5 + z], axis=-1)


def traced_ellipsoid(turn=0.0, samples=1500):
    """The nearest z of the same surface by brute force: its points, dense, sorted into the stored square's pixels."""
    longitude, latitude = np.meshgrid(*(np.linspace(-0.45, 0.45, samples) * np.pi * 1.05,) * 2)
    inside = np.hypot(longitude, latitude) < 0.45 * np.pi * 1.05
    longitude, latitude = longitude[inside], latitude[inside]
    bump = 1 + 0.15 * np.exp(-(longitude**2 + latitude**2) / 0.02)
    x, y = 0.3 * np.sin(longitude) * np.cos(latitude) * bump, 0.36 * np.sin(latitude) * bump
    z = 0.3 * np.cos(longitude) * np.cos(latitude) * bump
    x, z = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
    side = 1.58 / 1.6  # PRNet's square in the stored one, 0.14 of the face square's side lower
    column = np.floor((0.5 + x * side) * SIZE).astype(int)
    row = np.floor((0.5 + 0.14 / 1.6 + y * side) * SIZE).astype(int)
    nearest = np.full((SIZE, SIZE), -np.inf)
    np.maximum.at(nearest, (row, column), z)
    return nearest


@pytest.mark.parametrize("turn", [0.0, 0.5, -0.9])
def test_position_map_of_an_ellipsoid_gives_its_depth(turn):
    levels = positions_to_depth(from_prnet(ellipsoid_positions(turn)), disc())
    truth = traced_ellipsoid(turn)
    face, true_face = levels > 0, np.isfinite(truth)
    # Brute force marks every pixel that the surface touches, the z-buffer those whose centres it covers.
    assert not (face & ~true_face).any() and face.sum() > 0.92 * true_face.sum()
    both = face & true_face
    assert np.corrcoef(levels[both].astype(float), truth[both])[0, 1] > 0.99
    assert np.unravel_index(levels.argmax(), levels.shape)[0] == pytest.approx(32 + 0.14 / 1.6 * SIZE, abs=2.5)


def test_points_outside_the_face_do_not_count():
    positions = from_prnet(ellipsoid_positions())
    expected = positions_to_depth(positions, disc())
    spoilt = np.where(disc()[..., None], positions, np.random.default_rng(0).uniform(-1, 2, positions.shape))
    assert np.array_equal(positions_to_depth(spoilt, disc()), expected)
    assert positions_to_depth(positions, np.zeros_like(disc())) is None
    assert positions_to_depth(positions + 5, disc()) is None


def test_points_of_the_input_square_are_found_again_in_the_stored_one():
    square = prnet_square(BOX)
    for x, y in ((0, 0), (1, 0), (0.3, 0.8)):
        pixel_x, pixel_y = square.x1 + x * square.width, square.y1 + y * square.height
        stored = from_prnet(np.array([x, y, 0.25]))
        side = EXTENT * 100
        assert stored[:2] == pytest.approx(((pixel_x - (150 - side / 2)) / side, (pixel_y - (150 - side / 2)) / side))
        assert stored[2] == pytest.approx(-0.25 * 158 / side)
