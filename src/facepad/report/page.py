"""HTML pages from templates: one self-contained file that needs no network access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from facepad.files.disk import printable
from facepad.report import text

__all__ = ["Section", "render_page"]


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a page.

    Attributes:
        id: Name of the section in links.
        short: Title in the navigation.
        present: Whether the section has content.
    """

    id: str
    short: str
    present: bool = True


def render_page(template: str, variables: Mapping[str, Any]) -> str:
    """Render a template of the report; the text can be encoded in UTF-8."""
    return printable(_environment().get_template(template).render(variables))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("facepad.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=text.percent, interval=text.interval, number=text.number, count=text.count, words=text.words
    )
    return environment
