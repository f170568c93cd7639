"""Quantisation of a model to 8 bit integers, and the choice of the quantisation images."""

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
from facepad.faces import read_with_box
from facepad.media.images import read_image
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.types import Sample, Split

__all__ = ["QuantisationImages", "quantisation_images", "quantised"]

_BATCH = 16


@dataclass(frozen=True)
class QuantisationImages:
    """The quantisation images, on which the range of each activation is measured.

    Attributes:
        crops: Inputs of the network, uint8 RGB ``(H, W, 3)`` each.
        unreadable: Path -> reason, for each image that could not be read.
    """

    crops: list[NDArray[np.uint8]]
    unreadable: dict[str, str]


def quantisation_images(manifest: Path, spec: PreprocessSpec, *, limit: int = 200) -> QuantisationImages:
    """Draw quantisation images from the train samples of a manifest, evenly from bona fide and each kind of attack.

    The same manifest always gives the same images.

    Args:
        manifest: The manifest.
        spec: The preprocessing of the network's input.
        limit: Maximum number of images.

    Raises:
        InputError: the train split has no usable image, or its packed crops are smaller than the network's crop.
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
            path = resolve(manifest, sample)
            image = read_with_box(path, sample) if spec.needs_face else read_image(path)
            images.crops.append(spec.apply(image, sample.box))
        except ImageError as error:
            images.unreadable[sample.path] = str(error)
        if len(images.crops) == limit:
            break
    if not images.crops:
        raise InputError(f"calibration manifest {manifest} has no usable images in split 'train'")
    return images


def quantised(bundle: Bundle, crops: Sequence[NDArray[np.uint8]]) -> Bundle:
    """The model, with its only ONNX graph quantised to 8 bit integers.

    Raises:
        RunError: ONNX Runtime cannot quantise the graph.
    """
    from facepad.export.int8 import quantize  # imported late: ONNX Runtime's tools take a second to import

    [(name, graph)] = bundle.files.items()
    batches = (np.stack(crops[first : first + _BATCH]) for first in range(0, len(crops), _BATCH))
    network = bundle.description.networks[0].model_copy(update={"precision": "int8"})
    description = bundle.description.model_copy(update={"networks": (network,)})
    return Bundle(description, {name: quantize(graph, batches)})
