"""The sets of a cross-data-set evaluation: names, patterns and folds."""

import pytest

from facepad.errors import InputError
from facepad.workflow.cross.sets import find_sets


@pytest.fixture
def files(tmp_path):
    """Make empty files, and return their paths."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return [tmp_path / name for name in names]

    return make


def test_sets_are_named_by_folder_and_file(files):
    paths = files("office/manifest.csv", "ext/webcam.csv", "a/nuaa/manifest.csv")
    assert [found.name for found in find_sets(paths)] == ["office", "ext-webcam", "nuaa"]
    paths = files("a/nuaa/manifest.csv", "b/nuaa/manifest.csv")
    assert [found.name for found in find_sets(paths)] == ["a-nuaa", "b-nuaa"]


def test_folds_are_one_set_in_their_order(files, tmp_path):
    files(*(f"nuaa/manifest-fold{number}.csv" for number in range(11)), "nuaa/manifest.csv")
    [folds] = find_sets([tmp_path / "nuaa" / "manifest-fold*.csv"])
    assert folds.name == "nuaa"
    assert list(folds.folds) == [f"fold{number}" for number in range(11)]
    [one] = find_sets([tmp_path / "nuaa" / "manifest-fold3.csv"])
    assert (one.name, one.has_folds) == ("nuaa-fold3", False)


def test_an_incomplete_fold_set_names_the_missing_file(files, tmp_path):
    paths = files("nuaa/manifest-fold0.csv", "nuaa/manifest-fold1.csv", "nuaa/manifest-fold3.csv")
    with pytest.raises(InputError, match=r"manifest-fold2\.csv is missing"):
        find_sets(paths)
    with pytest.raises(InputError, match=r"manifest-fold3\.csv is a fold of the same protocol"):
        find_sets(paths[:2])


def test_missing_files_and_repeated_files_are_refused(files, tmp_path):
    [path] = files("office/manifest.csv")
    with pytest.raises(InputError, match="named twice"):
        find_sets([path, path])
    for wrong in (tmp_path / "none.csv", tmp_path / "no*.csv", tmp_path / "office"):
        with pytest.raises(InputError, match="does not exist"):
            find_sets([wrong])
