"""Parameters and multiply-adds of the networks at their usual input sizes: python benchmarks/sizes.py

Prints a Markdown table. The multiply-adds are for one image. They include convolutions, fully connected layers, and the
resizing in AttentionFusion (matrix products).
"""

from __future__ import annotations

from collections.abc import Sequence

from _common import markdown, parser
from _networks import NETWORKS, multiply_adds
from facepad.models import create_model


def main(words: Sequence[str] | None = None) -> None:
    parser(__doc__).parse_args(words)
    rows = []
    for title, name, options, size in NETWORKS:
        model = create_model(name, weights="none", **options)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        counted = multiply_adds(model, size)
        rows.append((title, f"{size} x {size}", f"{parameters / 1e6:.3f} M", f"{counted / 1e9:.4f} G"))
    print(markdown(["network", "input", "parameters", "multiply-adds"], rows))


if __name__ == "__main__":
    main()
