"""The public files of ImageNet weights, from which the trunks of networks are trained. Their names need no PyTorch."""

from __future__ import annotations

from facepad.files.downloads import PublicFile

__all__ = ["TRUNKS"]


def _torchvision(name: str, sha256: str, other_name: str) -> PublicFile:
    """A public file of torchvision. The file name ends in the first 8 digits of the SHA-256."""
    file = f"{name}-{sha256[:8]}.pth"
    return PublicFile(
        title=f"the ImageNet weights of {name}",
        name=file,
        url=f"https://download.pytorch.org/models/{file}",
        sha256=sha256,
        license="BSD-3-Clause",
        instead=f"or give its path with --set model.weights=PATH/{file}, or start from random weights with "
        "--set model.weights=none",
        other_names=(other_name,),
    )


TRUNKS = {
    "mobilenet_v2": _torchvision(
        "mobilenet_v2",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        "mobilenet_v2-imagenet1k-features.safetensors",
    ),
    "resnet34": _torchvision(
        "resnet34",
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
        "resnet34-imagenet1k.safetensors",
    ),
    "vgg16": _torchvision(
        "vgg16",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        "vgg16-imagenet1k.safetensors",
    ),
}
"""The public file of each trunk. FACEPAD_MODELS may hold the trunk alone under the other name."""
