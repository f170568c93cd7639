"""The widget's files without a browser: the npm package is whole, and each language has all texts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

import facepad
from facepad.service.challenge import Action

WIDGET = Path(str(resources.files("facepad"))) / "service" / "widget"
PACKAGE = json.loads((WIDGET / "package.json").read_text())


@pytest.fixture(scope="module")
def texts() -> dict[str, dict]:
    """The texts by language."""
    node = shutil.which("node") or pytest.skip("no node")
    code = f"import {{ TEXTS }} from {json.dumps((WIDGET / 'texts.js').as_uri())}; console.log(JSON.stringify(TEXTS))"
    ran = subprocess.run([node, "--input-type=module", "-e", code], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def shape_of(value: object) -> object:
    """Names, the number of sentences and the placeholders, without the words."""
    if isinstance(value, dict):
        return {name: shape_of(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape_of(part) for part in value]
    assert isinstance(value, str) and value.strip() == value and value
    return sorted(re.findall(r"\{\w+\}", value))


def test_each_language_has_all_texts(texts):
    assert set(texts) == {"en", "de", "fr", "es", "pt"}
    assert all(shape_of(texts[language]) == shape_of(texts["en"]) for language in texts)
    for language in set(texts) - {"en"}:
        assert texts[language]["steps"]["turn_left"] != texts["en"]["steps"]["turn_left"]


def test_every_action_of_the_active_check_has_words(texts):
    assert set(Action) == set(texts["en"]["steps"])


def test_npm_package_has_the_version_of_facepad_and_all_files():
    assert PACKAGE["version"] == facepad.__version__
    assert all((WIDGET / path).is_file() for path in PACKAGE["exports"]["."].values())


def test_modules_import_modules_of_the_package_alone():
    imported = {name for path in WIDGET.glob("*.js") for name in re.findall(r' from "([^"]+)"', path.read_text())}
    assert imported and all(name.startswith("./") and (WIDGET / name).is_file() for name in imported)
    for path in WIDGET.glob("*.js"):
        assert "https://" not in path.read_text().replace("https://...", "")
