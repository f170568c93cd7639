"""The network that training starts from: with public or random weights, of a trained model, or a graph of a model."""

from __future__ import annotations

from typing import Any

from facepad.errors import ModelError, unknown_choice
from facepad.modelfile.bundle import Network
from facepad.modelfile.catalog import find_trained, look_up, shipped_models
from facepad.models import MODELS, GraphFormat, StagedModel, create_model

__all__ = ["graph_format", "starting_network"]

_WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")


def starting_network(name: str, weights: str, options: dict[str, Any]) -> tuple[StagedModel, dict[str, str]]:
    """Build a network and load its initial weights.

    Args:
        name: Name of the architecture, as in `facepad.models.create_model`.
        weights: ``imagenet``, ``none`` or a weights file, as in `facepad.models.create_model`. Or a run folder, a model
            file or a listed model's name. The network then gets all weights of that model, including the weights of the
            head. A network without a depth map may start from a network with a depth map.
        options: The network's options.

    Returns:
        The network, and what a run records about its initial weights: ``weights``, and for a trained model also
        ``weights_sha256``.

    Raises:
        ModelError: the weights are missing or do not fit, or the trained model has another architecture or other
            options. The message names the difference.
    """
    if weights in ("imagenet", "none") or weights.endswith(_WEIGHT_SUFFIXES):
        return create_model(name, weights=weights, **options), {"weights": weights}
    if look_up(weights) is None:
        known = ("imagenet", "none", *shipped_models())
        raise ModelError(
            f"{unknown_choice('weights', weights, known)}; or a .safetensors or .pth file, a run folder or a model file"
        )
    network = create_model(name, weights="none", **options)
    trained = find_trained(weights)
    if trained.architecture != name:
        raise ModelError(f"{weights} is a {trained.architecture}, but the recipe trains a {name}")
    theirs, ours = _with_defaults(name, trained.options), _with_defaults(name, options)
    differing = [option for option in ours if theirs[option] != ours[option]]
    if differing == ["depth"] and ours["depth"] is False:
        differing = []  # the depth map's own convolution is left out below
    if differing:
        option = differing[0]
        raise ModelError(
            f"{weights} was built with {option} = {theirs[option]}, but the recipe has {ours[option]}; "
            f"to start from its weights, add --set model.{option}={str(theirs[option]).lower()}"
        )
    values = trained.network.state_dict()
    network.load_state_dict({part: values[part] for part in network.state_dict()})
    return network, {"weights": weights, "weights_sha256": trained.weights_sha256}


def graph_format(network: Network) -> GraphFormat:
    """The format in which `facepad.models.GraphModel` runs and trains the graph of a network."""
    output = {"output": network.output.name, "kind": network.output.kind, "bona_fide": network.output.bona_fide}
    return GraphFormat(size=network.preprocess.size, **(network.input.model_dump() | output))


def _with_defaults(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """All options of a network: the given ones, and the defaults of the others."""
    return {**MODELS[name].options, **options}
