"""A network in 8 bit integers: the images that it is quantised on, and the quantised model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import read_manifest, resolve
from facepad.datasets.pack import refuse_narrow_crops
from facepad.errors import ImageError, InputError
from facepad.media.images import read_image
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.types import Sample, Split

__all__ = ["QuantisationImages", "quantisation_images", "quantised"]

_BATCH = 16


@dataclass(frozen=True)
class QuantisationImages:
    """The images that show a quantised network how large its activations become.

    Attributes:
        crops: The network's input, uint8 RGB ``(H, W, 3)`` each.
        unreadable: The images that could not be read: path to reason.
    """

    crops: list[NDArray[np.uint8]]
    unreadable: dict[str, str]


def quantisation_images(manifest: Path, spec: PreprocessSpec, *, limit: int = 200) -> QuantisationImages:
    """Train samples of a manifest, drawn evenly from bona fide and every kind of attack; always the same.

    Args:
        manifest: The manifest.
        spec: How the network's input is preprocessed.
        limit: The largest number of images.

    Raises:
        InputError: the train split has no usable image, or its packed crops are narrower than the network looks at.
    """
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in read_manifest(manifest):
        if sample.split is Split.TRAIN and not (spec.needs_face and sample.box is None):
            kinds[str(sample.attack_type or sample.label)].append(sample)
    refuse_narrow_crops(manifest.parent, chain.from_iterable(kinds.values()), spec.reach)
    rng = np.random.default_rng(0)
    shuffled = [[kinds[kind][place] for place in rng.permutation(len(kinds[kind]))] for kind in sorted(kinds)]
    images = QuantisationImages([], {})
    for sample in filter(None, chain.from_iterable(zip_longest(*shuffled))):
        try:
            images.crops.append(spec.apply(read_image(resolve(manifest, sample)), sample.box))
        except ImageError as error:
            images.unreadable[sample.path] = str(error)
        if len(images.crops) == limit:
            break
    if not images.crops:
        raise InputError(f"calibration manifest {manifest} has no usable images in split 'train'")
    return images


def quantised(bundle: Bundle, crops: Sequence[NDArray[np.uint8]]) -> Bundle:
    """A model of one ONNX graph, its graph in 8 bit integers.

    Raises:
        RunError: ONNX Runtime cannot quantise the graph.
    """
    from facepad.export.int8 import quantize  # only here: ONNX Runtime's tools take a second to import

    [(name, graph)] = bundle.files.items()
    batches = (np.stack(crops[first : first + _BATCH]) for first in range(0, len(crops), _BATCH))
    network = bundle.description.networks[0].model_copy(update={"precision": "int8"})
    description = bundle.description.model_copy(update={"networks": (network,)})
    return Bundle(description, {name: quantize(graph, batches)})
