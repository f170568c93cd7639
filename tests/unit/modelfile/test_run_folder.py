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


def test_a_missing_folder_is_refused_as_missing(tmp_path):
    with pytest.raises(ModelError, match=r"nope does not exist; a finished run folder was expected$"):
        RunFolder(tmp_path / "nope").require_finished()


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe"])
def test_missing_or_broken_file_is_refused_by_name(tmp_path, content):
    run = RunFolder(tmp_path)
    if content is not None:
        run.environment_file.write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a whole run folder: environment\.json cannot be read"):
        run.read(run.environment_file)


@pytest.mark.parametrize("content", ["[]", '{"manifest_sha256": ""}', "[" * 100_000], ids=["list", "key", "deep"])
def test_recipe_of_another_form_is_refused_by_name(tmp_path, content):
    run = RunFolder(tmp_path)
    run.recipe_file.write_text(content)
    with pytest.raises(ModelError, match=r"is not a whole run folder: recipe\.json (holds no|lacks recipe|cannot be)"):
        run.read_recipe()


@pytest.mark.parametrize("damage", ['{"stage": "all", "epoch": 2', "[2]", "", "{}", '{"stage": "all", "epoch": "2"}'])
def test_damaged_epoch_is_refused_with_its_line(tmp_path, damage):
    run = RunFolder(tmp_path)
    run.epochs_file.write_text(f'{{"stage": "all", "epoch": 1}}\n{damage}\n')
    with pytest.raises(ModelError, match=r"metrics\.jsonl, line 2 is damaged"):
        read_epochs(run.epochs_file)


def test_epochs_are_read_in_order_and_none_where_nothing_was_trained(tmp_path):
    run = RunFolder(tmp_path)
    assert read_epochs(run.epochs_file) == []
    run.epochs_file.write_text('{"stage": "all", "epoch": 1}\n{"stage": "all", "epoch": 2}\n')
    assert [row["epoch"] for row in read_epochs(run.epochs_file)] == [1, 2]
