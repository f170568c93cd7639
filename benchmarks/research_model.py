"""Make the model nuaa-research: train it on NUAA, and choose its threshold and measure it on held-out people.

    python benchmarks/research_model.py NUAA_FOLDER WORK FOLDER     write FOLDER/nuaa-research.facepad

The data are fold 0 of `subject-kfold`. The network is trained on the train people, and the threshold is chosen on the
dev people. Bona fide images of the dev people are also shown on simulated prints and screens of two kinds that are held
out from training. The model file keeps the threshold only if the HTER on these presentations is at most 10 %. The test
people are measured last, and the result changes nothing. An interrupted run continues in WORK. The parity report is in
WORK/models. The model file contains the model card and the licence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from _common import facepad, parser
from _runs import make_depth_maps, measured, unseen_presentations
from facepad.modelfile.bundle import CARD, LICENSE, Bundle, read_bundle, write_bundle
from facepad.types import Split

RECIPE = NAME = "nuaa-research"
LARGEST_HTER = 0.10
SCOPE = "research only: trained on one 15-person set of printed photographs (NUAA), not for access control"
LICENSE_NAME = "LicenseRef-NUAA-research-only"
LICENSE_FILE = "LICENSE-nuaa-research.txt"
TERMS = {
    "training_data": "NUAA Photo Imposter: prints; for research only",
    "shipping": {"answer": "no", "reason": "the terms of NUAA allow research only"},
}
CARD_FILE = Path(__file__).parents[1] / "docs" / "model-cards" / f"{NAME}.md"


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("root", type=Path)
    options.add_argument("work", type=Path)
    options.add_argument("assets", type=Path)
    arguments = options.parse_args(words)
    make(arguments.root, arguments.work, arguments.assets)


def make(root: Path, work: Path, assets: Path) -> None:
    """Make all missing files, and print the rates of the model."""
    manifest = work / "subject-kfold" / "manifest-fold0.csv"
    if not manifest.exists():
        facepad("data", "prepare", "nuaa", root, manifest.parent, "--protocol", "subject-kfold", "--detector", "dlib")
    make_depth_maps(manifest)
    run = work / "runs" / NAME
    if not (run / "model.json").exists():
        facepad("train", RECIPE, manifest, run, "--resume")
    unseen = unseen_presentations(manifest, work / "unseen-dev", split=Split.DEV, every=2)
    held_out = measured(run, unseen, work / "reports" / f"{NAME}-held-out")
    words = ["--manifest", manifest, "--name", NAME, "--license", LICENSE_NAME, "--scope", SCOPE]
    if held_out["hter"]["value"] > LARGEST_HTER:
        words.append("--no-threshold")
    exported = work / "models" / f"{NAME}.facepad"
    if not exported.exists():
        facepad("export", run, exported, "--quantize", "int8", "--calibration", manifest, *words)
    bundle = read_bundle(exported)
    papers = {CARD: CARD_FILE.read_bytes(), LICENSE: (assets / LICENSE_FILE).read_bytes()}
    description = bundle.description.model_copy(update={"facts": bundle.description.facts | TERMS})
    write_bundle(assets / exported.name, Bundle(description, {**bundle.files, **papers}))
    test = measured(run, manifest, work / "reports" / NAME)
    for title, metrics in (("held-out kinds, dev people", held_out), ("test people", test)):
        rates = (f"{name} {100 * metrics[name]['value']:.2f} %" for name in ("eer", "apcer", "bpcer", "hter"))
        print(f"{title}: {', '.join(rates)}")


if __name__ == "__main__":
    main()
