"""Use your own network and data set in every command of facepad, without a change of the package.

python examples/own_network_and_data.py list datasets
python examples/own_network_and_data.py data prepare own PICTURES prepared
python examples/own_network_and_data.py train examples/tiny.toml prepared/manifest.csv runs/tiny
python examples/own_network_and_data.py evaluate runs/tiny prepared/manifest.csv reports/tiny

The command facepad imports this file if a variable names it:

FACEPAD_PLUGINS=examples/own_network_and_data.py facepad evaluate runs/tiny prepared/manifest.csv reports/tiny
"""

import re
from pathlib import Path

import torch
from torch import nn

from facepad.cli import main
from facepad.datasets import DATASETS, Adapter, ProtocolInfo, Scan
from facepad.datasets.splits import split_subjects
from facepad.models import MODELS, GlobalPool, ModelEntry, StagedModel
from facepad.types import AttackType, Label, Sample, Split

SHARES = {Split.TRAIN: 0.5, Split.DEV: 0.25, Split.TEST: 0.25}


class Head(nn.Module):
    """Linear layer from features (N, inputs) to logits (N,)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x).squeeze(1)


class TinyNet(StagedModel):
    """Network with two convolutions. The children run in the order in which they are assigned.

    A recipe may set the parameters of ``__init__`` under ``[model]``.
    """

    def __init__(self, *, channels: int = 16) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, channels, 3, stride=2, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(channels, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.pool = GlobalPool()
        self.head = Head(32)


def scan(root: Path, protocol: str, seed: int) -> Scan:
    """Find pictures called ``anna-live-1.jpg`` or ``anna-print-1.jpg``. The seed divides the people at random."""
    found = Scan(root, {})
    samples = []
    for file in sorted(root.iterdir()):
        name = re.fullmatch(r"(\w+)-(live|print)-\d+\.jpg", file.name)
        if name is None:
            found.skipped.append((file.name, "not called PERSON-live-NUMBER.jpg or PERSON-print-NUMBER.jpg"))
        elif name[2] == "live":
            samples.append(Sample(file.name, name[1], Label.BONA_FIDE))
        else:
            samples.append(Sample(file.name, name[1], Label.ATTACK, AttackType.PRINT))
    split = split_subjects(samples, SHARES, seed)
    found.folds[""] = [
        Sample(sample.path, sample.subject, sample.label, sample.attack_type, split[sample.subject])
        for sample in samples
    ]
    return found


OWN = Adapter(
    name="own",
    title="pictures called PERSON-live-NUMBER.jpg or PERSON-print-NUMBER.jpg",
    licence="your own",
    citation="",
    protocols=(ProtocolInfo("people", "train, dev and test share no people", subject_disjoint=True),),
    scan=scan,
)

DATASETS[OWN.name] = OWN
MODELS["tinynet"] = ModelEntry(TinyNet, "tinynet", "two convolutions, one logit")

if __name__ == "__main__":
    main()
