"""The hooks that build the documentation site."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

griffe = pytest.importorskip("griffe")
pytest.importorskip("mkdocs")

TOOL = Path(__file__).parents[3] / "tools" / "docs_site.py"


@pytest.fixture(scope="module")
def site():
    spec = importlib.util.spec_from_file_location("docs_site", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("target", "link", "moved"),
    [
        ("index.md", "docs/metrics.md#rates", "metrics.md#rates"),
        ("index.md", "ARCHITECTURE.md", "architecture.md"),
        ("how-to/serve.md", "../../CONTRIBUTING.md", "../contributing.md"),
        ("how-to/serve.md", "../openapi.json", "../openapi.json"),
        ("examples.md", "decide.py", "examples/decide.py"),
        ("examples.md", "../README.md#limits", "index.md#limits"),
        ("index.md", "https://example.org/docs/a.md", "https://example.org/docs/a.md"),
        ("index.md", "#limits", "#limits"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(site, target, link, moved):
    assert site.site_links(f"see [it]({link}).", target) == f"see [it]({moved})."


def test_page_that_loads_from_another_host_is_named(site):
    page = '<a href="https://a.example">a</a><script src="js/own.js"></script><link rel="x" href="//b.example/b.css">'
    assert site.loaded_from_elsewhere(page + "<img alt=c src=https://c.example/c.png>") == [
        "//b.example/b.css",
        "https://c.example/c.png",
    ]


def test_undocumented_and_missing_names_are_named(site, tmp_path):
    (tmp_path / "toy.py").write_text(
        '__all__ = ["BARE", "FIRST", "SECOND", "shown"]\nBARE = 1\nFIRST, SECOND = 1, 2\nOTHER = 3\n'
        'def shown():\n    """Shown."""\n'
    )
    toy = griffe.load("toy", search_paths=[tmp_path])
    bare = [f"toy.{name} has no docstring" for name in ("BARE", "FIRST", "SECOND")]
    assert site.gaps(toy, {"toy.shown"}) == bare
    assert site.gaps(toy, set()) == [*bare, "toy.shown is not in the reference"]
