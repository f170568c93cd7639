"""Recipes: the shipped ones are valid, overrides take effect, and an error names the mistake and the choices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from facepad.errors import RecipeError
from facepad.models import MODELS, create_model
from facepad.training.recipe import list_recipes, load_recipe
from helpers.patience import PATIENCE


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_is_valid(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.summary == list_recipes()[name] != ""
    assert recipe.model.options().keys() <= MODELS[recipe.model.name].options.keys()


@pytest.mark.parametrize(
    "line",
    [
        "seed = " + "[" * 3000 + "]" * 3000,
        "seed = " + "{a = " * 200 + "1" + "}" * 200,
        ".".join("a" * 3000) + " = 1",
        "seed = " + "1" * 5000,
    ],
    ids=["deep array", "deep table", "deep key", "long number"],
)
def test_hostile_values_of_a_recipe_are_one_line(tmp_path, line):
    path = tmp_path / "hostile.toml"
    path.write_text(f"[model]\n{line}\n")
    for words in ((str(path),), ("demo", ["train." + line.replace(" = ", "=", 1)])):
        with pytest.raises(RecipeError) as caught:
            load_recipe(*words)
        assert "\n" not in str(caught.value)


def test_a_batch_of_fewer_images_than_parts_is_refused():
    with pytest.raises(RecipeError, match="accumulate = 1000000 parts need at least as many images"):
        load_recipe("demo", ["train.accumulate=1000000"])


def test_paper_recipe_has_the_papers_values():
    recipe = load_recipe("tla-mobilenetv2-paper")
    head, tune = recipe.stages
    assert (head.optimizer, head.lr, head.epochs, recipe.train.batch_size) == ("rmsprop", 1e-4, 20, 224)
    assert recipe.model.options() == {"dropout": 0.3}
    assert (tune.trainable_from, tune.epochs, tune.lr) == ("features.12.conv.1", 10, 1e-5)
    assert recipe.preprocess.spec().crop_scale is None
    assert recipe.preprocess.spec().size == (160, 160)


def test_attention_fusion_paper_recipe_has_the_papers_values():
    recipe = load_recipe("attention-fusion-paper")
    (stage,) = recipe.stages
    assert (stage.trainable_from, stage.optimizer, stage.lr, stage.epochs) == (None, "sgd", 1e-4, 100)
    assert (stage.schedule, stage.patience, stage.weight_decay, stage.label_smoothing) == ("constant", None, 0, 0)
    assert recipe.preprocess.spec().crop_scale is None
    assert recipe.preprocess.spec().size == (224, 224)
    assert not recipe.augment.augmentation()
    assert (recipe.depth.weight, recipe.depth.regions, recipe.depth.contrast) == (1.0, "map", 0.0)


def test_fasnet_recipe_has_what_its_authors_published():
    recipe = load_recipe("fasnet")
    (stage,) = recipe.stages
    assert (recipe.model.name, recipe.train.batch_size) == ("fasnet", 100)
    assert recipe.model.options() == {"dropout": 0.5}
    assert (stage.optimizer, stage.weight_decay, stage.lr, stage.patience) == ("adamw", 0, 1e-4, 10)
    assert recipe.preprocess.spec().size == (96, 96)


def test_overrides_reach_sections_and_stages():
    recipe = load_recipe(
        "demo", ["train.seed=7", "stages.0.lr=0.5", "model.weights=some/file.pth", "preprocess.crop=frame"]
    )
    assert recipe.train.seed == 7
    assert recipe.stages[0].lr == 0.5
    assert recipe.model.weights == "some/file.pth"
    assert recipe.preprocess.crop == "frame"


def test_learning_rates_grow_with_the_batch_where_asked():
    rate = load_recipe("demo").plan().scaled_stages()[0].lr
    larger = ["train.batch_size=512", "train.accumulate=2"]
    assert load_recipe("demo", larger).plan().scaled_stages()[0].lr == rate
    scaled = load_recipe("demo", [*larger, "train.lr_batch_size=128"]).plan().scaled_stages()
    assert scaled[0].lr == pytest.approx(4 * rate)


def test_options_of_the_network_reach_it():
    overrides = ["model.weights=none", "model.deep_tap=13", "model.channels=32"]
    model = load_recipe("attention-fusion", overrides).model
    network = create_model(model.name, weights=model.weights, **model.options())
    assert (network.head.in_channels, len(network.features)) == (32, 14)


def test_options_have_the_types_of_the_networks_signature():
    assert repr(load_recipe("tla-mobilenetv2", ["model.width=1"]).model.options()["width"]) == "1.0"
    with pytest.raises(RecipeError, match=r"model.channels: input should be less than or equal to 1024, got 5000"):
        load_recipe("attention-fusion", ["model.channels=5000"])


def test_recipes_are_listed_where_torch_is_not_installed():
    script = """
import sys
for name in ("torch", "lightning", "torchmetrics", "safetensors"):
    sys.modules[name] = None  # an import raises ModuleNotFoundError
from facepad.cli import main
sys.argv = ["facepad", "list", "recipes"]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(list_recipes())


def test_resolution_multiplier_scales_the_input():
    recipe = load_recipe("tla-mobilenetv2-paper", ["preprocess.resolution=0.6"])
    assert recipe.preprocess.spec().size == (96, 96)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.sede=1", r"unknown key 'train.sede' \(did you mean 'train.seed'\?\); choices: train.seed"),
        ("stages.0.epoch=1", r"did you mean 'stages.0.epochs'"),
        ("trian.seed=1", r"did you mean 'train'"),
        ("train.seed=often", r"train.seed: input should be a valid integer.*got 'often'"),
        ("stages.0.epochs=0", "greater than or equal to 1, got 0"),
        ("stages.0.optimizer=adam", "'sgd', 'rmsprop' or 'adamw', got 'adam'"),
        ("stages.4.epochs=1", "there is no stage 4"),
        ("model.name=mobilenet", "did you mean 'mobilenet_v2'"),
        ("model.dropout=1", "model.dropout: input should be less than 1, got 1"),
        ("model.widht=0.5", r"unknown key 'model.widht' \(did you mean 'model.width'\?\); choices: model.name"),
        ("model.channels=32", "unknown key 'model.channels'.*model.width, model.dropout$"),
        ("depth.engine=facemseh", "did you mean 'facemesh'"),
        ('augment.operations=["mirrror"]', "did you mean 'mirror'"),
        ("published=TLA-MobileNet", "did you mean 'TLA-MobileNetV2'"),
        ("criterion=err", "criterion"),
        ("preprocess.crop=0.5", "greater than or equal to 1"),
        ("preprocess.crop=nan", "finite"),
        ("train.seed=4294967296", "less than or equal to"),
        ("train.seed", "expects key=value"),
        ("name.x=1", "name is not a section"),
    ],
)
def test_mistakes_are_named(override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("tla-mobilenetv2", [override])


def test_unknown_recipe_lists_the_choices():
    with pytest.raises(RecipeError, match=r"did you mean 'tla-mobilenetv2'.*choices: attention-fusion-paper"):
        load_recipe("tla-mobilnetv2")


def test_recipe_file_of_ones_own(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('summary = "x"\n[model]\nname = "resnet34"\n[[stages]]\nname = "a"\nepochs = 1\n')
    assert load_recipe(str(path)).name == "mine"
    path.write_text("summary = [")
    with pytest.raises(RecipeError, match=r"mine.toml cannot be read"):
        load_recipe(str(path))
    with pytest.raises(RecipeError, match="does not exist"):
        load_recipe(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize(
    ("recipe", "overrides", "message"),
    [
        (
            "tla-mobilenetv2",
            ["depth.weight=2"],
            r"tla-mobilenetv2\.toml: depth\.weight: mobilenet_v2 does not predict a depth map.*: attention_fusion$",
        ),
        (
            "demo-depth",
            ["model.depth=false"],
            r"attention_fusion with model\.depth = false does not predict a depth map.*depth=\{\}",
        ),
    ],
)
def test_depth_section_of_a_network_without_depth_is_refused(recipe, overrides, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe, overrides)


def test_depth_section_can_be_taken_out_of_a_recipe():
    recipe = load_recipe("demo-depth", ["model.depth=false", "depth={}"])
    assert recipe.model.options() == {"depth": False}


def test_views_without_augmentation_are_refused():
    with pytest.raises(RecipeError, match="need some augmentation"):
        load_recipe("tla-mobilenetv2", ["augment.operations=[]"])
