import json

import pytest

from facepad.files.disk import json_text, printable, write_json


def test_json_of_a_file_name_in_another_encoding_can_be_written_and_read_back(tmp_path):
    value = {"path": "caf\udce9.jpg", "subject": "Zo\u00eb"}
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_bytes()) == value
    assert "Zo\u00eb" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_numbers_that_it_has_not(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"score": number})


def test_printable_names_hold_no_bytes_that_utf8_has_not():
    assert printable("a\udce9") == "a\\udce9"
    printable("a\udce9").encode("utf-8")
