"""Files of a run that lack a key: each reader refuses the file by name."""
# ruff: noqa: SLF001 - the public callers first load or train a network

from pathlib import Path
from types import SimpleNamespace

import pytest

from facepad.errors import ModelError
from facepad.modelfile.catalog import FoundModel
from facepad.modelfile.run_folder import RunFolder
from facepad.workflow import evaluate, export, overlap
from facepad.workflow.cross import plan

MANIFEST = Path("manifest.csv")
BUNDLE = SimpleNamespace(description=SimpleNamespace(facts={}))

READERS = {
    "export": (export._trained_manifest, "environment"),
    "dev-of-run": (lambda run: evaluate.dev_of_run(run, MANIFEST, []), "environment"),
    "evaluate": (lambda run: evaluate._of_run(run, BUNDLE, MANIFEST, []), "environment"),
    "dev-overlap": (lambda run: overlap.dev_notes(run, BUNDLE, MANIFEST, []), "samples"),
    "test-overlap": (lambda run: overlap.measured_notes(run, MANIFEST, []), "samples"),
    "cross-dev": (
        lambda run: plan._dev_of_member(SimpleNamespace(recipe=None, found=found(run)), {}, []),
        "environment",
    ),
    "cross-identity": (lambda run: plan.identity(found(run), BUNDLE), "model"),
}


def found(run):
    return FoundModel("run", run.path)


@pytest.mark.parametrize(("read", "file"), READERS.values(), ids=READERS)
def test_file_without_the_keys_of_its_reader_is_refused_by_name(tmp_path, read, file):
    run = RunFolder(tmp_path)
    for path in (run.environment_file, run.samples_file, run.description_file):
        path.write_text("{}")
    run.recipe_file.write_text('{"recipe": {}}')
    with pytest.raises(ModelError, match=rf"is not a whole run folder: {file}\.json lacks "):
        read(run)
