"""The network that training starts from: public weights of its trunk, none at all, or a model trained before."""

from __future__ import annotations

from typing import Any

from facepad.errors import ModelError, unknown_choice
from facepad.modelfile.catalog import find_trained, look_up, shipped_models
from facepad.models import MODELS, StagedModel, create_model

__all__ = ["starting_network"]

_FILES = (".safetensors", ".pth", ".pt")


def starting_network(name: str, weights: str, options: dict[str, Any]) -> tuple[StagedModel, dict[str, str]]:
    """Build a network and load its initial weights.

    Args:
        name: Name of the architecture, as in `facepad.models.create_model`.
        weights: ``imagenet``, ``none`` or a weights file, as in `facepad.models.create_model`; or a run folder, a model
            file or a listed model's name, whose weights are all taken, the head's too. A network without a depth map
            may go on from one with it.
        options: The network's options.

    Returns:
        The network, and what a run records of its start: ``weights``, and of a trained model ``weights_sha256``.

    Raises:
        ModelError: the weights are missing or do not fit, or the trained model has another architecture or other
            options; the message names the difference.
    """
    if weights in ("imagenet", "none") or weights.endswith(_FILES):
        return create_model(name, weights=weights, **options), {"weights": weights}
    if look_up(weights) is None:
        known = ("imagenet", "none", *shipped_models())
        raise ModelError(
            f"{unknown_choice('weights', weights, known)}; or a .safetensors or .pth file, a run or a model"
        )
    network = create_model(name, weights="none", **options)
    trained = find_trained(weights)
    if trained.architecture != name:
        raise ModelError(f"{weights} is a {trained.architecture}, the recipe trains a {name}")
    theirs, ours = _built_with(name, trained.options), _built_with(name, options)
    differing = [option for option in ours if theirs[option] != ours[option]]
    if differing == ["depth"] and ours["depth"] is False:
        differing = []  # the depth map's own convolution is left out below
    if differing:
        option = differing[0]
        raise ModelError(
            f"{weights} was built with {option} = {theirs[option]}, the recipe has {ours[option]}; "
            f"go on from it with --set model.{option}={str(theirs[option]).lower()}"
        )
    values = trained.network.state_dict()
    network.load_state_dict({part: values[part] for part in network.state_dict()})
    return network, {"weights": weights, "weights_sha256": trained.weights_sha256}


def _built_with(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The network's options with their defaults."""
    return {**MODELS[name].options, **options}
