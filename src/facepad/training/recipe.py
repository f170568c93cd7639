"""Recipes: validated TOML files that define the training of a network.

Listing recipes does not need PyTorch. Validating a recipe needs PyTorch, because the networks name their own options.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError, create_model

from facepad.depth import LABELLERS
from facepad.errors import InputError, RecipeError, unknown_choice
from facepad.files.config import Section, explain, parse_toml, read_toml
from facepad.metrics import parse_criterion
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.report.literature import published_rows
from facepad.training.augment import Augmentation
from facepad.training.settings import DepthSettings, StageSettings, TrainingPlan, TrainSettings

__all__ = ["Recipe", "list_recipes", "load_recipe", "validate_recipe"]


class ModelSection(Section):
    """``[model]``: the network, its initial weights and its options.

    All other keys are options of the network, such as ``width``. The parameters of the network's class in
    `facepad.models` define the options with their types and ranges.

    Attributes:
        name: A name in `facepad.models.MODELS`.
        weights: Source of the initial weights (`facepad.modelfile.catalog.start.starting_network`).
    """

    model_config = ConfigDict(extra="allow")

    name: str
    weights: str = "imagenet"

    def options(self) -> dict[str, Any]:
        """The options of the network that the recipe sets."""
        return dict(self.model_extra or {})


class PreprocessSection(Section):
    """``[preprocess]``: the crop of the image, and its size.

    Attributes:
        crop: ``frame``, or the side of the crop as a multiple of the face square's side.
        size: Side of the network's input in pixels.
        resolution: Factor of ``size``: the resolution multiplier (rho) of MobileNet.
        border: Method that fills the part of a crop outside the image.
    """

    crop: Literal["frame"] | Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = "frame"
    size: int = Field(default=224, ge=32, le=1024)
    resolution: float = Field(default=1.0, gt=0, le=1)
    border: Literal["reflect", "constant"] = "reflect"

    def spec(self) -> PreprocessSpec:
        """The preprocessing that these keys describe."""
        side = max(32, round(self.size * self.resolution))
        scale = None if self.crop == "frame" else float(self.crop)
        return PreprocessSpec(crop_scale=scale, size=(side, side), border=self.border)


class AugmentSection(Section):
    """``[augment]``: augmentation of the training crops.

    Attributes:
        operations: Names from `facepad.training.augment.OPERATIONS`.
        simulate: Fraction of the bona fide crops that become simulated presentations.
        families: Kinds of print and screen to simulate. Empty uses all kinds.
        views: Number of augmented views of an image whose features are kept, if the lower layers are frozen.
    """

    operations: tuple[str, ...] = ()
    simulate: float = Field(default=0.0, ge=0, le=1)
    families: tuple[str, ...] = ()
    views: int = Field(default=1, ge=1, le=64)

    def augmentation(self) -> Augmentation:
        """The augmentation that these keys describe.

        Raises:
            InputError: an operation or family is unknown.
        """
        return Augmentation(self.operations, self.simulate, self.families)


class Recipe(Section):
    """One reproducible training run.

    Attributes:
        name: Stem of the recipe file's name.
        summary: One line for `facepad list recipes`.
        published: Name of a published figure that reports show beside the result.
        criterion: Criterion that chooses the threshold on the dev split.
        model: The network.
        preprocess: Preprocessing of the network's input.
        augment: Augmentation of the training crops.
        depth: Settings of the depth term of the loss.
        train: Settings that all stages share.
        stages: The stages, in order.
    """

    name: str
    summary: str
    published: str | None = None
    criterion: str | float = "eer"
    model: ModelSection
    preprocess: PreprocessSection = PreprocessSection()
    augment: AugmentSection = AugmentSection()
    depth: DepthSettings = DepthSettings()
    train: TrainSettings = TrainSettings()
    stages: tuple[StageSettings, ...] = Field(min_length=1)

    def plan(self) -> TrainingPlan:
        """The sections that `facepad.training.fit.fit` takes."""
        return TrainingPlan(stages=self.stages, train=self.train, depth=self.depth)


_File = TypeVar("_File", bound=Section)
_MOST_SECTIONS = 10


def _recipes_folder() -> Path:
    return Path(str(resources.files("facepad.training"))) / "recipes"


def list_recipes() -> dict[str, str]:
    """The recipes of the package: name to one-line summary."""
    return {path.stem: str(_read(path).get("summary", "")) for path in sorted(_recipes_folder().glob("*.toml"))}


def load_recipe(name_or_path: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe of the package by its name, or another recipe by the path of its ``.toml`` file.

    Args:
        name_or_path: A name such as ``tla-mobilenetv2``, or a path such as ``mine.toml``.
        overrides: Values to change, such as ``train.seed=1`` or ``stages.0.epochs=3``. The values are read as
            TOML. A word without quotes is a string.

    Raises:
        RecipeError: the recipe, a key or a value is unknown.
    """
    path = Path(name_or_path) if name_or_path.endswith(".toml") else _recipes_folder() / f"{name_or_path}.toml"
    if not path.exists():
        if name_or_path.endswith(".toml"):
            raise RecipeError(f"recipe file {path} does not exist")
        raise RecipeError(unknown_choice("recipe", name_or_path, list_recipes()))
    values = {"name": path.stem, **_read(path)}
    for override in overrides or []:
        _override(values, override)
    return validate_recipe(values, str(path.name))


def validate_recipe(values: dict[str, Any], source: str) -> Recipe:
    """Check every key and value of a recipe.

    Args:
        values: The content of a recipe file, and the recipe's ``name``.
        source: Name of the recipe file in error messages.

    Raises:
        RecipeError: a key or value is wrong. The message names the first wrong key, its value, and the choices.
    """
    try:
        recipe = _with_checked_options(_validated(values, Recipe))
        if not recipe.augment.augmentation() and recipe.augment.views > 1:
            raise RecipeError("augment.views: several views need some augmentation")
        published_rows(recipe.published)
        parse_criterion(recipe.criterion)
        _require_depth_network(recipe)
        _require_losses(recipe)
    except InputError as error:
        raise RecipeError(f"{source}: {error}") from error
    names = [stage.name for stage in recipe.stages]
    if len(set(names)) < len(names):
        raise RecipeError(f"{source}: stages need different names, got {', '.join(names)}")
    return recipe


def _validated(values: dict[str, Any], file: type[_File]) -> _File:
    try:
        return file.model_validate(values)
    except ValidationError as error:
        raise RecipeError(explain(error, file)) from error


def _with_checked_options(recipe: Recipe) -> Recipe:
    """Check the options of the recipe's network against the signature of the network, and convert their values."""
    from facepad.models import MODELS  # here, because networks need PyTorch and listing recipes must not

    name = recipe.model.name
    if name not in MODELS:
        raise RecipeError(f"model.name: {unknown_choice('model', name, MODELS)}")
    forbid = {"extra": "forbid"}
    section = create_model("Network", __base__=ModelSection, __cls_kwargs__=forbid, **MODELS[name].option_fields())
    file = create_model("NetworkFile", __base__=Section, model=(section, ...))
    checked = _validated({"model": recipe.model.model_dump()}, file).model_dump(exclude_unset=True)
    return recipe.model_copy(update={"model": ModelSection.model_validate(checked["model"])})


def _require_depth_network(recipe: Recipe) -> None:
    from facepad.models import MODELS  # here, because networks need PyTorch and listing recipes must not

    engine, given = recipe.depth.engine, sorted(recipe.depth.model_fields_set)
    if engine is not None and engine not in LABELLERS:
        raise RecipeError(f"depth.engine: {unknown_choice('depth engine', engine, LABELLERS)}")
    options = recipe.model.options()
    if given and not MODELS[recipe.model.name].gives_depth(options):
        network = recipe.model.name + (" with model.depth = false" if "depth" in options else "")
        raise RecipeError(
            f"depth.{given[0]}: {network} does not predict a depth map; remove the section [depth] "
            "(--set depth={}), or choose a network with a depth map: "
            + ", ".join(name for name, entry in MODELS.items() if entry.gives_depth({}))
        )


def _require_losses(recipe: Recipe) -> None:
    """Refuse a loss that is unknown, or whose plug-in is broken."""
    from facepad.training.losses import LOSSES  # here, because losses need PyTorch and listing recipes must not

    for number, stage in enumerate(recipe.stages):
        if stage.loss not in LOSSES:
            raise RecipeError(f"stages.{number}.loss: {unknown_choice('loss', stage.loss, LOSSES)}")
        LOSSES[stage.loss]


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except InputError as error:
        raise RecipeError(f"recipe {path} {error}") from error


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise RecipeError(f"--set expects key=value, got {override!r}")
    *parents, last = key.strip().split(".")
    if len(parents) > _MOST_SECTIONS:
        raise RecipeError(f"--set {key[:40]}...: no key of a recipe has {len(parents) + 1} parts")
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text
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
        raise RecipeError(f"--set {key}: {name} is not in a section, but below a value")
    return place.setdefault(name, {})
