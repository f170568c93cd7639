"""prepare.json and pack.json: long files are read, and a file that cannot be read is named with the reason."""

import json

import pytest

from facepad.datasets.origin import origin_of, read_runs
from facepad.datasets.pack import PackSettings
from facepad.datasets.pack.inventory import Inventory
from facepad.errors import InputError, OutputExistsError
from facepad.files.disk import read_json

RUN = {"detector": "dlib", "manifests": {"manifest.csv": {}}, "unreadable": ["a.jpg"]}


@pytest.fixture
def low_limit(monkeypatch):
    """The limit of `read_json` for files of settings. A file with a line for each image is not such a file."""
    monkeypatch.setattr(read_json, "__defaults__", (8,))


def test_files_with_a_line_for_each_image_or_shard_may_be_long(tmp_path, low_limit):
    (tmp_path / "prepare.json").write_text(json.dumps({"runs": [RUN]}))
    assert read_runs(tmp_path) == [RUN]
    assert origin_of(tmp_path / "manifest.csv") == RUN
    made = Inventory("manifest.csv", "0" * 64, PackSettings())
    made.write(tmp_path)
    assert Inventory.read(tmp_path) == made


@pytest.mark.parametrize(
    ("name", "read", "error"),
    [("prepare.json", read_runs, OutputExistsError), ("pack.json", Inventory.read, InputError)],
    ids=["prepare", "pack"],
)
def test_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name, read, error):
    (tmp_path / name).mkdir()
    with pytest.raises(error, match=rf"{name} cannot be read \(Is a directory\); choose another"):
        read(tmp_path)
