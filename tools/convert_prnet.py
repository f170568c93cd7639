"""Convert PRNet's public TensorFlow 1 checkpoint for `facepad data depth --engine prnet`.

Runs where TensorFlow (1.15 or any 2.x) is installed beside facepad[train]. From the repository of its authors
(https://github.com/yfeng95/PRNet) it takes the checkpoint 256_256_resfcn256_weight (its .index and .data files) and
Data/uv-data/face_ind.txt, the places of a position map that are of the face. Mind the licence of the weights.

Example:
    python tools/convert_prnet.py 256_256_resfcn256_weight face_ind.txt prnet.safetensors
    facepad data depth nuaa/manifest.csv --engine prnet --model prnet.safetensors
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save

from facepad.depth.positions import PRNET_SIDE
from facepad.depth.prnet import MASK, from_tensorflow
from facepad.errors import FacepadError, InputError
from facepad.files.disk import write_bytes

_PLACES = PRNET_SIDE * PRNET_SIDE


def read_checkpoint(prefix: Path) -> dict[str, NDArray[np.float32]]:
    """All variables of PRNet's network in a checkpoint, by name; the optimiser's are left out."""
    import tensorflow as tf  # type: ignore[import-untyped]

    try:
        reader = tf.train.load_checkpoint(str(prefix))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(f"{prefix} is not a checkpoint; give the path without .index or .data-...: {error}") from error
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("resfcn256/")]
    return {name: reader.get_tensor(name) for name in names}


def read_mask(face_ind: Path) -> NDArray[np.uint8]:
    """face_ind.txt, numbers of places in reading order, as a (256, 256) mask of 0 and 1.

    Raises:
        InputError: the file is missing, or holds something else.
    """
    try:
        numbers = np.array(face_ind.read_text(encoding="utf-8").split(), dtype=np.float64).astype(np.int64)
    except (OSError, ValueError) as error:
        raise InputError(f"{face_ind} is not PRNet's face_ind.txt: {error}") from error
    if not len(numbers) or numbers.min() < 0 or numbers.max() >= _PLACES:
        raise InputError(f"{face_ind}: expected numbers from 0 to {_PLACES - 1}, one or more")
    mask = np.zeros(_PLACES, dtype=np.uint8)
    mask[numbers] = 1
    return mask.reshape(PRNET_SIDE, PRNET_SIDE)


def convert(variables: Mapping[str, NDArray[np.float32]], mask: NDArray[np.uint8], out: Path) -> None:
    """Write the weights file that `facepad data depth --engine prnet --model` takes.

    Raises:
        ModelError: the variables are not those of PRNet's network.
        RunError: the file cannot be written.
    """
    import torch

    state = from_tensorflow(variables)
    write_bytes(out, save({**state, MASK: torch.from_numpy(mask)}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; 0 on success, 2 for wrong input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="path of the checkpoint without .index or .data-00000-of-00001")
    parser.add_argument("face_ind", type=Path, help="PRNet's Data/uv-data/face_ind.txt")
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    given = parser.parse_args(arguments)
    try:
        convert(read_checkpoint(given.checkpoint), read_mask(given.face_ind), given.out)
    except FacepadError as error:
        print(f"convert_prnet: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"convert_prnet: this needs {error.name}: pip install {error.name}", file=sys.stderr)
        return 2
    print(f"{given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
