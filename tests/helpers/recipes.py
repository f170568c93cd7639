"""Recipes of small networks, which train in a second."""

from __future__ import annotations

_NETWORK = """
summary = "small and quick"
[model]
name = "mobilenet_v2"
weights = "none"
width = 0.25
[preprocess]
crop = 1.5
size = 32
[train]
batch_size = 8
"""

ONE_STAGE = f"""{_NETWORK}
[[stages]]
name = "all"
epochs = 1
optimizer = "adamw"
lr = 1e-3
"""
"""One epoch of the whole network."""

TWO_STAGES = f"""{_NETWORK}
[[stages]]
name = "head"
trainable_from = "head"
epochs = 2
optimizer = "adamw"
lr = 0.01
[[stages]]
name = "all"
epochs = 3
optimizer = "adamw"
lr = 0.001
"""
"""Two epochs of the head, and three of the whole network."""
