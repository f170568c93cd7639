"""A site of small images, and a described network that is small enough to train in a test."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from facepad.datasets.manifest import write_manifest
from facepad.types import AttackType, Box, Label, Sample

_DESCRIPTION = """
name = "tiny"
title = "A small network"
source = "made by a test"
license = "Apache-2.0"
scope = "For tests."

[[networks]]
name = "Tiny"
file = "tiny.onnx"
sha256 = "{sha256}"

[networks.preprocess]
crop = 1.2
size = [32, 32]

[networks.input]
layout = "nchw"
dtype = "float32"
scale = 0.00392156862745098

[networks.output]
kind = "logits"
bona_fide = 0
"""


def tiny_site(folder: Path, people: int = 3, images: int = 6) -> Path:
    """A manifest of ``images`` images of each person and class: attacks are darker, and nearly so with each person."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    samples = []
    for person, number, label in ((p, n, label) for p in range(people) for n in range(images) for label in Label):
        image = cv2.resize(rng.integers(60, 200, (4, 4, 3), dtype=np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
        if label is Label.ATTACK:
            image[:, ::4] //= 2
            image //= 2
        path = f"{label}-{person}-{number}.png"
        cv2.imwrite(str(folder / path), image)
        kind = AttackType.PRINT if label is Label.ATTACK else None
        samples.append(Sample(path, f"person-{person}", label, kind, box=Box(12, 12, 52, 52)))
    write_manifest(folder / "manifest.csv", samples)
    return folder / "manifest.csv"


def tiny_model(home: Path, *, node: str = "Relu") -> None:
    """Describe a network of two convolutions in the user's folder: brighter images are bona fide."""
    import onnx

    rng, make = np.random.default_rng(0), onnx.helper
    values = {
        "w1": np.abs(rng.normal(0, 0.2, (8, 3, 3, 3))),
        "w2": np.abs(rng.normal(0, 0.1, (8, 8, 3, 3))),
        "w3": np.vstack([np.full(8, 0.2), np.full(8, -0.2)]) + rng.normal(0, 0.01, (2, 8)),
        "b3": np.array([-0.5, 0.5]),
    }
    nodes = [
        make.make_node("Conv", ["input", "w1"], ["a"], name="/first/Conv", strides=[2, 2], pads=[1, 1, 1, 1]),
        make.make_node(node, ["a"], ["b"], name=f"/first/{node}"),
        make.make_node("Conv", ["b", "w2"], ["c"], name="/second/Conv", strides=[2, 2], pads=[1, 1, 1, 1]),
        make.make_node("Relu", ["c"], ["d"], name="/second/Relu"),
        make.make_node("GlobalAveragePool", ["d"], ["e"], name="/pool/GlobalAveragePool"),
        make.make_node("Flatten", ["e"], ["f"], name="/pool/Flatten"),
        make.make_node("Gemm", ["f", "w3", "b3"], ["output"], name="/logits/Gemm", transB=1),
    ]
    constants = [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()]
    takes = make.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["n", 3, 32, 32])
    gives = make.make_tensor_value_info("output", onnx.TensorProto.FLOAT, ["n", 2])
    graph = make.make_graph(nodes, "tiny", [takes], [gives], constants)
    content = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8).SerializeToString()
    folder = home / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.onnx").write_bytes(content)
    text = _DESCRIPTION.format(sha256=hashlib.sha256(content).hexdigest())
    (home / "models" / "tiny.toml").write_text(text, encoding="utf-8")
