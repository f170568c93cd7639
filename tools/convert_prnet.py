"""Convert PRNet's public TensorFlow 1 checkpoint for `facepad data depth --engine prnet`.

The script needs TensorFlow (1.15 or any 2.x) and facepad[train]. The two input files are in the repository of PRNet's
authors (https://github.com/yfeng95/PRNet): the checkpoint 256_256_resfcn256_weight (.index and .data files), and
Data/uv-data/face_ind.txt, which lists the points of a position map that belong to the face. Respect the licence of the
weights.

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
    """Name -> value of the network's variables in a checkpoint of PRNet, without variables of the optimiser."""
    import tensorflow as tf  # type: ignore[import-untyped]

    try:
        reader = tf.train.load_checkpoint(str(prefix))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(f"{prefix} is not a checkpoint; give the path without .index or .data-...: {error}") from error
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("resfcn256/")]
    return {name: reader.get_tensor(name) for name in names}


def read_mask(face_ind: Path) -> NDArray[np.uint8]:
    """The content of face_ind.txt as a (256, 256) mask of 0 and 1.

    The file lists point numbers, which count row by row from the upper left corner.

    Raises:
        InputError: the file is missing, or is not PRNet's face_ind.txt.
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
    """Write the weights file for `facepad data depth --engine prnet --model`.

    Raises:
        ModelError: the variables do not belong to PRNet's network.
        RunError: the file cannot be written.
    """
    import torch

    state = from_tensorflow(variables)
    write_bytes(out, save({**state, MASK: torch.from_numpy(mask)}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script. Return 0 on success, 2 for wrong input."""
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
