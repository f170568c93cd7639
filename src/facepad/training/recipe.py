"""Recipes: validated TOML that says how a network is trained; the only module that knows configuration."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from facepad.depth import LABELLERS
from facepad.errors import InputError, RecipeError, unknown_choice
from facepad.files.config import Section, explain, read_toml
from facepad.metrics import parse_criterion
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.models import MODELS
from facepad.report.literature import published_rows
from facepad.training.augment import Augmentation
from facepad.training.losses import DepthLoss
from facepad.training.module import StageSettings

__all__ = ["Recipe", "list_recipes", "load_recipe"]


class ModelSection(Section):
    """``[model]``: which network, from which weights (`facepad.modelfile.catalog.start.starting_network`)."""

    name: str
    weights: str = "imagenet"
    width: float | None = None
    dropout: float | None = Field(default=None, ge=0, lt=1)
    deep_tap: int | None = None
    channels: int | None = Field(default=None, ge=1, le=1024)
    attention: bool | None = None
    fusion: bool | None = None
    alpha: Literal["learned", "fixed"] | None = None
    depth: bool | None = None

    def options(self) -> dict[str, Any]:
        """What the network's builder takes, where given."""
        return {name: value for name, value in self if name not in ("name", "weights") and value is not None}


class PreprocessSection(Section):
    """``[preprocess]``: what part of the image the network sees, and how large."""

    crop: Literal["frame"] | Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = "frame"
    size: int = Field(default=224, ge=32, le=1024)
    resolution: float = Field(default=1.0, gt=0, le=1)
    border: Literal["reflect", "constant"] = "reflect"

    def spec(self) -> PreprocessSpec:
        """The same as the other layers take it; ``resolution`` is MobileNet's rho."""
        side = max(32, round(self.size * self.resolution))
        scale = None if self.crop == "frame" else float(self.crop)
        return PreprocessSpec(crop_scale=scale, size=(side, side), border=self.border)


class AugmentSection(Section):
    """``[augment]``: training-only changes of a crop."""

    operations: tuple[str, ...] = ()
    simulate: float = Field(default=0.0, ge=0, le=1)
    families: tuple[str, ...] = ()
    views: int = Field(default=1, ge=1, le=64)

    def augmentation(self) -> Augmentation:
        """The same as the other layers take it.

        Raises:
            InputError: an unknown operation or family.
        """
        return Augmentation(self.operations, self.simulate, self.families)


class DepthSection(Section):
    """``[depth]``: the depth term of the loss (`facepad.training.DepthLoss`), and whose labels it takes."""

    weight: float = Field(default=1.0, ge=0)
    regions: Literal["map", "face"] = "face"
    contrast: float = Field(default=0.0, ge=0)
    engine: str | None = None

    def loss(self) -> DepthLoss:
        """The same as the other layers take it."""
        return DepthLoss(self.weight, self.regions, self.contrast)


class TrainSection(Section):
    """``[train]``: what all stages share.

    ``batch_size`` counts the images of one step over all devices; each takes its share in ``accumulate`` parts. The
    stages' learning rates are for batches of ``lr_batch_size`` where that is given, and grow in proportion to the batch
    (linear scaling, Goyal et al. 2017).
    """

    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    batch_size: int = Field(default=224, ge=1)
    accumulate: int = Field(default=1, ge=1)
    lr_batch_size: int | None = Field(default=None, ge=1)
    balance_classes: bool = False
    deterministic: bool = True
    precision: Literal["auto", "32-true", "64-true", "bf16-mixed", "16-mixed"] = "auto"


class StageSection(Section):
    """``[[stages]]``: see `facepad.training.StageSettings`."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    trainable_from: str | None = None
    epochs: int = Field(ge=1)
    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    lr: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    schedule: Literal["constant", "one-cycle"] = "constant"
    weight_decay: float = Field(default=0.0, ge=0)
    find_lr: bool = False
    patience: int | None = Field(default=None, ge=1)
    batch_norm: Literal["frozen", "update"] = "update"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class Recipe(Section):
    """One reproducible training run.

    Attributes:
        name: The file's stem.
        summary: One line for `facepad list recipes`.
        published: Name of the paper's row that a report sets beside the result.
        criterion: How the threshold is chosen on dev.
    """

    name: str
    summary: str
    published: str | None = None
    criterion: str | float = "eer"
    model: ModelSection
    preprocess: PreprocessSection = PreprocessSection()
    augment: AugmentSection = AugmentSection()
    depth: DepthSection = DepthSection()
    train: TrainSection = TrainSection()
    stages: tuple[StageSection, ...] = Field(min_length=1)

    def stage_settings(self) -> list[StageSettings]:
        """The stages as plain values, their learning rates for this batch size."""
        scale = self.train.batch_size / (self.train.lr_batch_size or self.train.batch_size)
        return [StageSettings(**{**stage.model_dump(), "lr": stage.lr * scale}) for stage in self.stages]


def _folder() -> Path:
    return Path(str(resources.files("facepad.training"))) / "recipes"


def list_recipes() -> dict[str, str]:
    """Shipped recipes: name to one-line summary."""
    return {path.stem: str(_read(path).get("summary", "")) for path in sorted(_folder().glob("*.toml"))}


def load_recipe(name_or_path: str, overrides: list[str] | None = None) -> Recipe:
    """Read a shipped recipe by name, or any by the path of its ``.toml`` file, with ``key=value`` overrides.

    Args:
        name_or_path: Such as ``tla-mobilenetv2`` or ``mine.toml``.
        overrides: Such as ``train.seed=1`` or ``stages.0.epochs=3``; values are TOML, bare words are strings.

    Raises:
        RecipeError: unknown recipe, key or value.
    """
    path = Path(name_or_path) if name_or_path.endswith(".toml") else _folder() / f"{name_or_path}.toml"
    if not path.is_file():
        if name_or_path.endswith(".toml"):
            raise RecipeError(f"recipe file {path} does not exist")
        raise RecipeError(unknown_choice("recipe", name_or_path, list_recipes()))
    values = {"name": path.stem, **_read(path)}
    for override in overrides or []:
        _override(values, override)
    return validate_recipe(values, str(path.name))


def validate_recipe(values: dict[str, Any], where: str) -> Recipe:
    """Check every key and value.

    Raises:
        RecipeError: with the key, what came, and the choices.
    """
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{where}: {explain(error, Recipe)}") from error
    if recipe.model.name not in MODELS:
        raise RecipeError(f"{where}: model.name: {unknown_choice('model', recipe.model.name, MODELS)}")
    try:
        if not recipe.augment.augmentation() and recipe.augment.views > 1:
            raise RecipeError("augment.views: several views need some augmentation")
        published_rows(recipe.published)
        parse_criterion(recipe.criterion)
    except InputError as error:
        raise RecipeError(f"{where}: {error}") from error
    _check_depth(recipe, where)
    names = [stage.name for stage in recipe.stages]
    if len(set(names)) < len(names):
        raise RecipeError(f"{where}: stages need different names, got {', '.join(names)}")
    return recipe


def _check_depth(recipe: Recipe, where: str) -> None:
    engine, given = recipe.depth.engine, sorted(recipe.depth.model_fields_set)
    if engine is not None and engine not in LABELLERS:
        raise RecipeError(f"{where}: depth.engine: {unknown_choice('depth engine', engine, LABELLERS)}")
    if given and not MODELS[recipe.model.name].gives_depth(recipe.model.options()):
        network = f"{recipe.model.name}{'' if recipe.model.depth is None else ' with model.depth = false'}"
        raise RecipeError(
            f"{where}: depth.{given[0]}: {network} gives no depth map that could be learnt; remove the section [depth] "
            "(--set depth={}), or take a network that gives one: "
            + ", ".join(name for name, entry in MODELS.items() if entry.gives_depth({}))
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except InputError as error:
        raise RecipeError(f"recipe {path} {error}") from error


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise RecipeError(f"--set expects key=value, got {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.strip().split(".")
    place: Any = values
    for parent in parents:
        place = _descend(place, parent, key)
    if not isinstance(place, dict):
        raise RecipeError(
            f"--set {key}: {parents[-1] if parents else key} is not a section (stages.NUMBER.KEY for stages)"
        )
    place[last] = value


def _descend(place: Any, name: str, key: str) -> Any:
    if isinstance(place, list):
        if not name.isdigit() or int(name) >= len(place):
            raise RecipeError(f"--set {key}: there is no stage {name}; stages are numbered 0 to {len(place) - 1}")
        return place[int(name)]
    if not isinstance(place, dict):
        raise RecipeError(f"--set {key}: {name} is below a value, not a section")
    return place.setdefault(name, {})
