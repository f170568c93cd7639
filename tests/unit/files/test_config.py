from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from facepad.errors import InputError
from facepad.files.config import Section, explain, read_toml


class Preprocess(Section):
    crop: Literal["frame"] | Annotated[float, Field(gt=0)]
    floating: int = 0

    @field_validator("floating")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("must be even")
        return number


class Network(Section):
    name: str
    preprocess: Preprocess


class File(Section):
    networks: tuple[Network, ...]
    border: Literal["reflect", "constant"] = "reflect"
    extra: Preprocess | None = None


def problem(**changes):
    network = {"name": "a", "preprocess": {"crop": 1.5}}
    with pytest.raises(ValidationError) as caught:
        File.model_validate({"networks": [network]} | changes)
    return explain(caught.value, File)


def within(**preprocess):
    return problem(networks=[{"name": "a", "preprocess": preprocess}])


def test_number_or_word_is_explained_as_the_number_that_was_meant():
    assert within(crop=-1) == "networks.0.preprocess.crop: input should be greater than 0, got -1"
    assert within(crop="face").startswith("networks.0.preprocess.crop: input should be a valid number")


def test_misspelt_key_is_preferred_to_the_missing_one():
    assert within(corp=1) == (
        "unknown key 'networks.0.preprocess.corp' (did you mean 'networks.0.preprocess.crop'?); "
        "choices: networks.0.preprocess.crop, networks.0.preprocess.floating"
    )


def test_missing_key_is_named_with_its_section():
    assert within() == "networks.0.preprocess.crop is missing"


def test_keys_that_sound_like_a_type_are_named():
    assert within(crop=1, floating="x").startswith("networks.0.preprocess.floating: input should be a valid integer")


def test_optional_section_is_looked_into():
    assert problem(extra={"crop": "frame", "flaoting": 1}).startswith("unknown key 'extra.flaoting' (did you mean")


def test_reason_of_a_check_stands_after_its_key():
    assert within(crop=1, floating=3) == "networks.0.preprocess.floating: must be even"


def test_word_that_is_no_choice_lists_the_choices():
    assert problem(border="mirror") == "border: input should be 'reflect' or 'constant', got 'mirror'"


def test_problem_of_the_whole_text_has_no_key():
    with pytest.raises(ValidationError) as caught:
        Network.model_validate_json("[]")
    assert explain(caught.value, Network) == "input should be an object, got []"
    with pytest.raises(ValidationError) as caught:
        Network.model_validate_json("name=a")
    assert explain(caught.value, Network) == "invalid JSON: expected ident at line 1 column 2"


@pytest.mark.parametrize("content", [b"a = ", b"\xff"])
def test_file_that_is_not_toml_is_refused(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    for path in (tmp_path / "a.toml", tmp_path / "none.toml"):
        with pytest.raises(InputError, match=r"^cannot be read: "):
            read_toml(path)
