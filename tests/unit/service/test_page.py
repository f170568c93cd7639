"""The page's files without a browser: the properties that the security headers and the scripts rely on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facepad.media.formats import FORMAT_NAMES
from facepad.predict.stream import Stream
from facepad.types import Decision, Reason

PAGE = Path(str(resources.files("facepad"))) / "service" / "page"
HTML = (PAGE / "index.html").read_text(encoding="utf-8")
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.js"))}


class Elements(HTMLParser):
    """All elements of a page, as (tag, attributes)."""

    def __init__(self, html: str = HTML) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))


def test_advice_on_another_file_names_every_format():
    assert f"Choose a photo ({FORMAT_NAMES})" in SCRIPTS["words.js"]


def test_page_has_no_inline_script_or_style():
    for tag, attributes in Elements().found:
        assert tag != "style" and "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "script" or attributes.get("src")


def test_page_loads_its_own_files_alone():
    named = [attributes.get("src") or attributes.get("href") for _, attributes in Elements().found]
    files = [name for name in named if name]

    assert files and all((PAGE.parent / name).is_file() for name in files)
    assert all(name.startswith("page/") for name in files)  # Relative: the page may be below a path of a proxy.
    for text in SCRIPTS.values():
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text


def test_documentation_is_addressed_relatively():
    named = [
        attributes.get("src") or attributes.get("href")
        for _, attributes in Elements((PAGE / "docs.html").read_text(encoding="utf-8")).found
    ]
    files = [name for name in named if name and not name.startswith("data:")]

    assert len(files) == 3 and all(name.startswith(("page/", "docs/ui/")) for name in files)
    assert 'url: "openapi.json"' in SCRIPTS["docs.js"]


def test_modules_that_scripts_import_are_there():
    imported = {name for text in SCRIPTS.values() for name in re.findall(r' from "([^"]+)"', text)}

    assert imported and all((PAGE / name).is_file() for name in imported)


def test_elements_that_scripts_name_are_in_the_page():
    ids = [attributes["id"] for _, attributes in Elements().found if attributes.get("id")]
    named = {name for text in SCRIPTS.values() for name in re.findall(r'\bat\("([^"]+)"\)', text)}

    assert len(ids) == len(set(ids))
    assert len(named) > 30 and named <= set(ids)


def test_every_reason_of_the_service_has_words():
    from facepad.types import Reason

    known = set(re.findall(r"^  (\w+): \[", SCRIPTS["words.js"].partition("const REASONS")[2].partition("};")[0], re.M))

    assert set(Reason) <= known


STEADY = """
import { Steady } from %s;
const steady = new Steady();
const scores = JSON.parse(process.argv[1]);
const reasonsOf = (score) => (score === null ? ["no_face"] : []);
const answers = scores.map((score) => steady.add({ score, threshold: 0.5, reasons: reasonsOf(score) }));
console.log(JSON.stringify(answers.map(({ label, score, reasons }) => [label, score, reasons])));
"""


def test_live_view_has_the_verdicts_of_a_stream():
    node = shutil.which("node") or pytest.skip("no node")
    rng = np.random.default_rng(0)
    scores = [float(score) for mean in (0.8, 0.55, 0.2, 0.9) for score in rng.normal(mean, 0.2, 60).clip(0, 1)]
    scores = [None if number % 70 > 63 else score for number, score in enumerate(scores)]
    stream = Stream(SimpleNamespace(pipeline=SimpleNamespace(faces="largest")))
    states = [stream.follow([Decision(None, one, 0.5, () if one is not None else (Reason.NO_FACE,))]) for one in scores]

    code = STEADY % json.dumps((PAGE / "steady.js").as_uri())
    ran = subprocess.run(
        [node, "--input-type=module", "-e", code, json.dumps(scores)], capture_output=True, text=True, check=True
    )
    seen = json.loads(ran.stdout)

    decisions = [state.decision for state in states]
    assert [label for label, _, _ in seen] == [decision.label for decision in decisions]
    assert [tuple(reasons) for _, _, reasons in seen] == [decision.reasons for decision in decisions]
    assert [score for _, score, _ in seen] == pytest.approx([decision.score for decision in decisions])
    assert len({label for label, _, _ in seen}) == 3
