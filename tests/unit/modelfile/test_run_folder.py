"""Run folders: what is there, what is finished, and what is not whole."""

import pytest

from facepad.errors import ModelError
from facepad.modelfile.run_folder import RunFolder, read_epochs


def test_folder_is_begun_by_its_recipe_and_finished_by_its_model(tmp_path):
    run = RunFolder(tmp_path)
    assert (run.is_begun, run.is_finished) == (False, False)
    run.recipe_file.write_text("{}")
    assert (run.is_begun, run.is_finished) == (True, False)
    run.description_file.write_text("{}")
    assert (run.is_begun, run.is_finished) == (True, True)


def test_unfinished_run_is_refused_and_names_how_to_go_on(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(ModelError, match=r"holds no trained model \(not a run folder\)"):
        run.require_finished()
    run.recipe_file.write_text("{}")
    with pytest.raises(ModelError, match=r"its training is not finished; continue with .*--resume"):
        run.require_finished()


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe"])
def test_missing_or_broken_file_is_refused_by_name(tmp_path, content):
    run = RunFolder(tmp_path)
    if content is not None:
        run.environment_file.write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a whole run folder: environment\.json cannot be read"):
        run.read(run.environment_file)


def test_epochs_are_read_in_order_and_none_where_nothing_was_trained(tmp_path):
    run = RunFolder(tmp_path)
    assert read_epochs(run.epochs_file) == []
    run.epochs_file.write_text('{"epoch": 1}\n{"epoch": 2}\n')
    assert [row["epoch"] for row in read_epochs(run.epochs_file)] == [1, 2]
