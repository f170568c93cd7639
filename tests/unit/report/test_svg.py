"""Drawings take their colours from the page."""

from __future__ import annotations

import re

from facepad.report.svg import Ink


def test_figures_take_every_colour_from_the_page(full_page):
    text = full_page
    figures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    style = text[text.index("<style>") : text.index("</style>")]
    used = set()
    for figure in figures:
        assert not re.search(r"#[0-9a-fA-F]{6}\b|\b(?:fill|stroke): (?!none|var\()", figure)
        used |= set(re.findall(r"var\((--[a-z0-9-]+)\)", figure))
    for name in used:
        light, dark = style.split("prefers-color-scheme: dark")
        assert f"{name}:" in light, name
        assert f"{name}:" in dark or name == "--font", name
    assert {ink.css for ink in Ink} >= {f"var({name})" for name in used - {"--font"}}


def test_every_ink_is_defined_light_and_dark_and_in_print(full_page):
    for ink in Ink:
        assert full_page.count(f"{ink.css[4:-1]}:") == 3, ink
