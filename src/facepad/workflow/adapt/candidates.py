"""The candidates of an adaptation: public networks, copies of them that are trained further, and fusions."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from facepad.errors import ModelError
from facepad.files.downloads import find_local
from facepad.files.trunks import TRUNKS
from facepad.modelfile.bundle import Bundle, Network
from facepad.modelfile.catalog import DEFAULT_MODEL, described_models, list_catalog
from facepad.modelfile.catalog.described import read_described
from facepad.modelfile.catalog.store import load_described
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.training.augment import Augmentation

if TYPE_CHECKING:
    from facepad.models import StagedModel

__all__ = ["Candidate", "Found", "Kind", "Training", "find_candidates", "fusions", "require_networks"]

Kind = Literal["as-is", "trained", "fused"]
"""The kind of a candidate: a public network without changes, a trained network, or a fusion of several networks."""

_NEUTRAL = ("frame", "mirror", "light", "blur", "resolution", "noise", "jpeg")
#: Largest share of a public network's multiply-adds in the stages that are trained. The frozen stages run only once for
#: each view of an image.
_TRAINED = 0.2
#: Share of the trained weights in a public network's copy. The rest comes from the public network, so that the copy
#: keeps a part of what the public network knows (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
_SHARE = 0.75
_IMAGENET = "imagenet"
_NO_TRUNK = "the ImageNet weights are not on this machine; facepad download mobilenet_v2 fetches them"
#: What `facepad download` should fetch for a training, with the detector and the labeller of depth.
_STARTERS = ("minifasnet-v2se-celeba-spoof", "mobilenet_v2", "yunet", "facemesh")
_IMAGENET_LICENSE = "BSD-3-Clause"
_IMAGENET_SCOPE = "Trained on images of one site; its first layers are torchvision's ImageNet weights."


@dataclass(frozen=True)
class Training:
    """The training of a candidate.

    Attributes:
        network: A function that builds the network with its initial weights.
        to_bundle: A function that makes a model of the trained network, without calibration and threshold.
        spec: Preprocessing of the network's input.
        trainable_from: Prefix of the first parameter that learns. None trains the whole network.
        steps: Number of optimiser steps, in every fit.
        lr: Learning rate of AdamW, with a one-cycle schedule.
        views: Number of augmented views of each image.
        augment: The augmentation.
        depth: Whether the network learns depth maps.
        batch_size: Number of images in a step.
        label_smoothing: Fraction by which each target moves to 0.5.
        share: Share of the trained weights in the result. The rest is the share of the initial weights.
    """

    network: Callable[[], StagedModel]
    to_bundle: Callable[[StagedModel], Bundle]
    spec: PreprocessSpec
    trainable_from: str | None
    steps: int
    lr: float
    views: int
    augment: Augmentation
    depth: bool = False
    batch_size: int = 32
    label_smoothing: float = 0.05
    share: float = 1.0


@dataclass(frozen=True)
class Candidate:
    """A model that an adaptation can choose.

    Attributes:
        name: Name in files and messages.
        title: One line for the plan and the report.
        kind: The kind of the candidate.
        origin: Name of the public weights that the candidate starts from.
        size: Bytes of the networks.
        seconds: Expected seconds per image on one CPU core: for scoring, for one augmented view, and for one optimiser
            step.
        bundle: The model of a candidate ``as-is``.
        training: The training of a candidate ``trained``.
        members: Names of the members of a candidate ``fused``.
    """

    name: str
    title: str
    kind: Kind
    origin: str = ""
    size: int = 0
    seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bundle: Bundle | None = None
    training: Training | None = None
    members: tuple[str, ...] = ()

    @property
    def copy(self) -> bool:
        """Whether the candidate is a trained copy of a public network."""
        return self.training is not None and self.origin != _IMAGENET

    @property
    def single(self) -> bool:
        """Whether the candidate is one network."""
        return self.training is not None or (self.bundle is not None and len(self.bundle.description.networks) == 1)


@dataclass(frozen=True)
class Found:
    """The candidates on this machine.

    Attributes:
        candidates: The candidates except fusions, the cheapest first.
        missing: Name of a candidate -> reason why it is left out, with the command that helps.
    """

    candidates: tuple[Candidate, ...]
    missing: dict[str, str]


def find_candidates(detector: str, *, train: bool = True, depth: bool = True) -> Found:
    """Find the candidates whose files are on this machine. Nothing is downloaded.

    Args:
        detector: The detector that made the face boxes.
        train: Whether networks may be trained.
        depth: Whether depth maps can be made for networks that learn them.

    Raises:
        ModelError: no candidate is on this machine, or PyTorch is not installed and networks may be trained.
    """
    require_networks(train=train)
    candidates, missing = _public()
    tuned = _tuned(candidates, missing) if train else []
    trained = _from_imagenet(detector, missing, depth=depth) if train else []
    return Found((*candidates, *tuned, *trained), missing)


def require_networks(*, train: bool) -> None:
    """Refuse to adapt on a machine on which `find_candidates` would find no candidate, before long work.

    Args:
        train: Whether networks may be trained.

    Raises:
        ModelError: no candidate is on this machine, or PyTorch is not installed and networks may be trained.
    """
    if train and importlib.util.find_spec("torch") is None:
        raise ModelError("training needs PyTorch, which is not installed: pip install 'facepad[train]'")
    if _public()[0] or (train and _has_trunk()):
        return
    names = _STARTERS if train else (DEFAULT_MODEL, "yunet")
    raise ModelError(f"no network is on this machine to adapt; facepad download {' '.join(names)} fetches some")


def _has_trunk() -> bool:
    return find_local(TRUNKS["mobilenet_v2"]) is not None


def fusions(members: Sequence[Candidate], most: int = 3) -> list[Candidate]:
    """Fusions of two to ``most`` networks of different public origins, and of a public network with its own copy.

    Only the copies of one public network are trained, so no fusion has copies of two.
    """
    found = []
    single = [each for each in members if each.single]
    for parts in (parts for count in range(2, most + 1) for parts in combinations(single, count)):
        public = [part.origin for part in parts if part.origin != _IMAGENET]
        if len({part.origin for part in parts if part.copy}) > 1:
            continue
        different = len(set(public)) == len(public)
        if different or (len(parts) == 2 and {part.kind for part in parts} == {"as-is", "trained"}):
            names = tuple(part.name for part in parts)
            size = sum(part.size for part in parts)
            title = f"mean of the calibrated logits of {', '.join(names)}"
            found.append(Candidate("+".join(names), title, "fused", size=size, members=names))
    return found


def _public() -> tuple[list[Candidate], dict[str, str]]:
    states = {entry.name: entry.state for entry in list_catalog()}
    candidates, missing = [], {}
    for name, path in described_models().items():
        if states.get(name) != "here":
            missing[name] = f"its files are not on this machine; facepad download {name} fetches them"
            continue
        model = read_described(path)
        bundle = load_described(model)
        seconds = (0.014 * len(model.networks), 0.0, 0.0)
        candidates.append(Candidate(name, model.title, "as-is", name, _size(bundle), seconds, bundle))
    return candidates, missing


def _tuned(publics: Sequence[Candidate], missing: dict[str, str]) -> list[Candidate]:
    """Trained copies of the public models' networks. A network in several public models gives one copy."""
    copies: list[Candidate] = []
    seen: set[bytes] = set()
    for public in sorted(publics, key=lambda each: not each.single):  # single networks first, as they name the copies
        assert public.bundle is not None
        for network in public.bundle.description.networks:
            stem = public.name if public.single else f"{public.name}.{re.sub(r'[^a-z0-9]+', '-', network.name.lower())}"
            if (graph := public.bundle.files[network.files[0]]) in seen:
                continue
            seen.add(graph)
            name = f"{stem}-tuned"
            try:
                training = _graph_training(public.bundle, network, name)
            except ModelError as error:
                missing[name] = str(error)
                continue
            title = f"{network.name} of {public.name}, trained further"
            row = (public.name, len(graph), (0.014, 0.018, 0.0045))
            copies.append(Candidate(name, title, "trained", *row, training=training))
    return copies


def _graph_training(bundle: Bundle, network: Network, name: str) -> Training:
    from facepad.modelfile.catalog.start import graph_format  # local: needs torch
    from facepad.models.graph import GraphModel, graph_with_weights

    [graph] = bundle.network_files(network)
    form = graph_format(network)

    def to_bundle(model: StagedModel) -> Bundle:
        assert isinstance(model, GraphModel)
        described = bundle.description
        facts = {"started_from": {"name": described.name, "source": described.source, "network": network.name}}
        changes: dict[str, Any] = {
            "name": name,
            "networks": (network.model_copy(update={"weight": 1.0}),),
            "calibration": type(described.calibration)(),
            "threshold": None,
            "facts": facts,
            "parts": {},
        }
        files = {network.files[0]: graph_with_weights(graph, model)}
        return Bundle(described.model_copy(update=changes), files)

    return Training(
        network=partial(GraphModel, graph, form),
        to_bundle=to_bundle,
        spec=network.preprocess,
        trainable_from=_tail(GraphModel(graph, form), network.preprocess.size),
        steps=100,
        lr=1e-3,
        views=3,
        augment=Augmentation(_NEUTRAL),
        share=_SHARE,
    )


def _tail(model: StagedModel, size: tuple[int, int]) -> str:
    """The first trained stage: the earliest from which at most `_TRAINED` of the multiply-adds remain."""
    from facepad.models.cuts import cuts  # local: needs torch

    found = cuts(model, size)
    return next((cut for cut in found if cut.multiply_adds <= _TRAINED * found[0].multiply_adds), found[-1]).stage


def _from_imagenet(detector: str, missing: dict[str, str], *, depth: bool) -> list[Candidate]:
    rows = (
        ("tla-mobilenetv2", "features.15", (0.012, 0.013, 0.009)),
        ("attention-fusion", "features.12.conv.1", (0.016, 0.013, 0.020)),
    )
    found = []
    for name, trainable_from, seconds in rows:
        if not _has_trunk():
            missing[name] = _NO_TRUNK
        elif name == "attention-fusion" and not depth:
            missing[name] = "its depth labels need the face mesh; facepad download facemesh fetches it"
        else:
            training, title, size = _recipe_training(name, detector, trainable_from)
            found.append(Candidate(name, title, "trained", _IMAGENET, size, seconds, training=training))
    return found


def _recipe_training(name: str, detector: str, trainable_from: str) -> tuple[Training, str, int]:
    """The training of a recipe with fewer steps, the title of the recipe, and the size of its network in bytes."""
    from facepad.modelfile.catalog.start import starting_network
    from facepad.modelfile.runs import TrainedModel
    from facepad.modelfile.scorers.run_scorer import bundle_of
    from facepad.training.recipe import load_recipe

    recipe = load_recipe(name)
    spec = replace(recipe.preprocess.spec(), detector=detector)
    architecture, options = recipe.model.name, recipe.model.options()

    def network() -> StagedModel:
        return starting_network(architecture, recipe.model.weights, options)[0]

    def to_bundle(model: StagedModel) -> Bundle:
        facts = {"recipe": name, "started_from": {"name": "ImageNet weights of torchvision"}}
        bundle = bundle_of(TrainedModel(model.eval(), architecture, options, spec, facts), name=name)
        changes = {"license": _IMAGENET_LICENSE, "scope": _IMAGENET_SCOPE, "source": f"recipe {name}, adapted"}
        return Bundle(bundle.description.model_copy(update=changes), bundle.files)

    training = Training(
        network=network,
        to_bundle=to_bundle,
        spec=spec,
        trainable_from=trainable_from,
        steps=50,
        lr=1e-3,
        views=recipe.augment.views,
        augment=recipe.augment.augmentation(),
        depth="depth" in network().outputs,
        label_smoothing=0.1,
    )
    size = 4 * sum(parameter.numel() for parameter in network().parameters())
    return training, recipe.summary, size


def _size(bundle: Bundle) -> int:
    names = {name for network in bundle.description.networks for name in network.files}
    return sum(len(bundle.files[name]) for name in names)
