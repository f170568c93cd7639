"""Train and evaluate, cell by cell as in a notebook: python examples/train_and_evaluate.py [OUT].

The data set and the network are small, so the program takes seconds. The figures do not show
the accuracy that facepad can reach.
"""

# %% Output folder
import sys
from pathlib import Path

out = Path(sys.argv[1] if len(sys.argv) > 1 else "example-output")
manifest = out / "data" / "manifest.csv"

# %% Data: rendered faces, prints and screens. The people are divided into train, dev and test
from facepad.datasets import read_manifest, write_manifest
from facepad.datasets.synthetic import SyntheticSet, generate

samples = generate(out / "data", SyntheticSet(subjects=4, images_per_subject=8, size=(240, 320)), jobs=1)
write_manifest(manifest, samples)
print(len(read_manifest(manifest)), "images")

# %% Training: a recipe, with changes. The network learns from train and is monitored on dev
from facepad.training.recipe import load_recipe
from facepad.workflow.train import train_run

recipe = load_recipe("demo", ["preprocess.size=64", "stages.0.epochs=2", "train.batch_size=8"])
train_run(recipe, manifest, out / "run")

# %% Evaluation: the threshold is chosen on dev and applied to test
from facepad.workflow.evaluate import evaluate_model
from facepad.workflow.scoring import EvaluationOptions

evaluation, report = evaluate_model(out / "run", manifest, out / "report", EvaluationOptions(probes=False))
for name in ("apcer", "bpcer", "acer", "eer"):
    rate = evaluation.summary.rates[name]
    print(f"{name:6} {100 * rate.value:5.1f} %   {100 * rate.low:5.1f} to {100 * rate.high:5.1f}   {rate.method}")
print("report:", report)

# %% Choose another threshold from the stored scores. The network is not needed
from facepad.metrics import choose_threshold, read_scores

dev = [record for record in read_scores(out / "report" / "scores.csv").records if record.split == "dev"]
print("threshold where APCER on dev is at most 5 %:", choose_threshold(dev, "bpcer@apcer=0.05", source="dev").value)
