"""Makes the model nuaa-research: trained on NUAA, chosen and measured on people it never saw.

    python benchmarks/research_model.py NUAA_FOLDER WORK FOLDER     FOLDER/nuaa-research.facepad, and its figures

Fold 0 of `subject-kfold`: a network learns from its train people; its dev people choose the threshold, and are shown on
two kinds of made-up presentation that training never used. The threshold stays in the model only if the HTER of these
is at most 10 %. The test people of the fold are measured last and change nothing. WORK is resumed; the report on parity
is in WORK/models. The model card and the licence go into the file.
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
CARD_FILE = Path(__file__).parents[1] / "docs" / "model-cards" / f"{NAME}.md"


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("root", type=Path)
    options.add_argument("work", type=Path)
    options.add_argument("assets", type=Path)
    arguments = options.parse_args(words)
    make(arguments.root, arguments.work, arguments.assets)


def make(root: Path, work: Path, assets: Path) -> None:
    """Everything that is not there yet."""
    manifest = work / "subject-kfold" / "manifest-fold0.csv"
    if not manifest.exists():
        facepad("data", "prepare", "nuaa", root, manifest.parent, "--protocol", "subject-kfold")
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
    write_bundle(assets / exported.name, Bundle(bundle.description, {**bundle.files, **papers}))
    test = measured(run, manifest, work / "reports" / NAME)
    for title, metrics in (("held-out kinds, dev people", held_out), ("test people", test)):
        rates = (f"{name} {100 * metrics[name]['value']:.2f} %" for name in ("eer", "apcer", "bpcer", "hter"))
        print(f"{title}: {', '.join(rates)}")


if __name__ == "__main__":
    main()
