"""Hooks of MkDocs: generated pages, conversion of repository links to links of the site, and checks of the site.

Three defects stop the build: a public name without a docstring, a public name that is not in the reference, and a page
that loads a file from another host. ``mkdocs build --strict`` also stops at dead links.
"""

from __future__ import annotations

import fnmatch
import functools
import html
import posixpath
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import griffe
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
    "examples/README.md": "examples.md",
    **{f"examples/{path.name}": f"examples/{path.name}" for path in sorted((ROOT / "examples").glob("*.[pt]*"))},
}
"""Files of the site that are not in docs/: path in the repository -> path in the site."""

_FIRST_COMMENT = re.compile(r"\A<!--.*?-->\s*", re.DOTALL)
_SESSION = re.compile(r"^( *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
# Typer cuts the lines of command lists short. The headings already have the same information.
_COMMAND_LISTS = re.compile(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n")
_LOADED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)", re.IGNORECASE
)


class DoctestsAsCode(griffe.Extension):
    """Adds code fences around doctests in docstrings. Without fences, Markdown reads them as quotations and links."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite a docstring before griffe parses it."""
        if obj.docstring and ">>>" in obj.docstring.value:
            obj.docstring.value = _SESSION.sub(r"\1```pycon\n\g<0>\n\1```", obj.docstring.value)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each pattern in the navigation by the matching pages."""
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
    config.nav = _expanded(config.nav, [*pages, *_generated()])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the files outside docs/."""
    for source, target in OUTSIDE.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=content))
    for target, content in _generated().items():
        files.append(File.generated(config, target, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Convert repository links to links of the site, and mark Python sessions as ``pycon``.

    A comment before the title is removed, because MkDocs would otherwise use the file name as the title.
    """
    markdown = _FIRST_COMMENT.sub("", markdown)
    return site_links(markdown, page.file.src_uri).replace("```python\n>>>", "```pycon\n>>>")


def on_post_build(config: MkDocsConfig) -> None:
    """Check that the reference is complete, and that no page loads a file from another host."""
    site = Path(config.site_dir)
    pages = {path.relative_to(site): path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}
    problems = [f"{path} loads {address}" for path, text in pages.items() for address in loaded_from_elsewhere(text)]
    reference = "".join(text for path, text in pages.items() if path.parts[0] == "api")
    problems += gaps(_package(), set(re.findall(r'\bid="([\w.]+)"', reference)))
    if problems:
        raise PluginError("\n".join(["the site is not complete:", *problems]))


def site_links(markdown: str, target: str) -> str:
    """Convert the links in a page's text to links of the site.

    Args:
        markdown: The text. The links are relative to the page's path in the repository.
        target: The page's path in the site.
    """
    source = next((name for name, place in OUTSIDE.items() if place == target), f"docs/{target}")

    def moved(link: re.Match[str]) -> str:
        named = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        place = OUTSIDE.get(named, named.removeprefix("docs/"))
        return posixpath.relpath(place, posixpath.dirname(target) or ".")

    return _LINK.sub(moved, markdown)


def loaded_from_elsewhere(page: str) -> list[str]:
    """URLs of files on other hosts that a browser would load for this HTML page."""
    return _LOADED.findall(page)


def gaps(package: griffe.Module, anchors: Collection[str]) -> list[str]:
    """Defects of the reference: public names without a docstring, and public names without an anchor."""
    found = []
    for module in _public_modules(package):
        for name in _all(module):
            member = module.members.get(name)
            if member is None or not (member.is_alias or member.docstring):
                found.append(f"{module.path}.{name} has no docstring")
            elif _place(module, name) not in anchors:
                found.append(f"{module.path}.{name} is not in the reference")
    return found


def _expanded(item: Any, pages: list[str]) -> Any:
    """The navigation with patterns replaced by pages. A page that is already in the same list is not repeated."""
    if isinstance(item, dict):
        return {title: _expanded(below, pages) for title, below in item.items()}
    if not isinstance(item, list):
        return item
    entries: list[Any] = []
    for entry in item:
        if isinstance(entry, str) and "*" in entry:
            entries += [page for page in pages if fnmatch.fnmatch(page, entry) and page not in entries]
        else:
            entries.append(_expanded(entry, pages))
    return entries


@functools.cache
def _generated() -> dict[str, str]:
    """The pages that are generated from the sources: the command line, the API, and one page per package of the API."""
    package = _package()
    rooms = [room for name, room in sorted(package.modules.items()) if _is_public(room) and name != "cli"]
    lines = [f"| [`{room.path}`](api/{room.name}.md) | {_first_line(room)} |" for room in rooms]
    top = [f"| [`{name}`][{_place(package, name)}] | {_first_line(package[name])} |" for name in _exported(package)]
    index = [
        "# Python",
        "All names in `__all__` of all modules. The packages:",
        "\n".join(["| module | contents |", "|---|---|", *lines]).replace("(api/", "("),
        "The names that `from facepad import ...` provides:",
        "\n".join(["| name | description |", "|---|---|", *top]),
        "::: facepad\n    options:\n      members: false",
    ]
    pages = {"cli.md": _command_line(), "api/index.md": "\n\n".join(index) + "\n"}
    return pages | {f"api/{room.name}.md": _room_page(room) for room in rooms}


def _room_page(room: griffe.Module) -> str:
    parts = [f"# {room.path}", _first_line(room)]
    aliases = [name for name in _exported(room) if room.members[name].is_alias]
    if aliases:
        links = ", ".join(f"[`{name}`][{_place(room, name)}]" for name in aliases)
        parts.append(f"`from {room.path} import ...`: {links}.")
    for module in _public_modules(room):
        own = [name for name in _exported(module) if not module.members[name].is_alias]
        members = "".join(f"\n        - {name}" for name in own)
        if own or module is not room:
            parts.append(f"::: {module.path}\n    options:\n      members: {members or '[]'}")
    return "\n\n".join(parts) + "\n"


def _command_line() -> str:
    """The help texts of all commands, from typer."""
    from facepad.cli import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="facepad", title="Command line")
    return _COMMAND_LISTS.sub("", html.unescape(text))


@functools.cache
def _package() -> griffe.Module:
    package = griffe.load("facepad", search_paths=[ROOT / "src"], docstring_parser="google", resolve_aliases=True)
    assert isinstance(package, griffe.Module)
    return package


def _public_modules(module: griffe.Module) -> Iterator[griffe.Module]:
    """The module and all public modules below the module, without the command line."""
    yield module
    for _, below in sorted(module.modules.items()):
        if _is_public(below) and below.path != "facepad.cli":
            yield from _public_modules(below)


def _is_public(module: griffe.Module) -> bool:
    return not module.is_alias and not module.name.startswith("_")


def _exported(module: griffe.Module) -> list[str]:
    """The names in ``__all__`` that griffe knows. `gaps` reports the other names."""
    return [name for name in _all(module) if name in module.members]


def _all(module: griffe.Module) -> list[str]:
    return [name for name in map(str, module.exports or ()) if not name.startswith("__")]


def _place(module: griffe.Module, name: str) -> str:
    member = module.members[name]
    return member.final_target.path if isinstance(member, griffe.Alias) else member.path


def _first_line(thing: Any) -> str:
    return thing.docstring.value.splitlines()[0] if thing.docstring else ""
