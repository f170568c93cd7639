"""Hypothesis strategies that damage valid files and documents."""

from __future__ import annotations

import json
import string
import zlib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

__all__ = ["changed_document", "changed_file", "changed_table", "toml_text"]

Draw = Callable[[st.SearchStrategy[Any]], Any]

_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 2**63)
ODD_WORDS = (
    *("", " ", "nan", "-nan", "inf", "-inf", "1e400", "-1", "-0", "0.5", "1e-7", "1e308", "9" * 30, "9" * 5000, "0x10"),
    *("1_000", "٣", "½", "true", "null", "None", "a" * 300, "\x00", "\x1b[31m", "\r", "\u202e", "\ufeff", "e\u0301"),
    *("../../etc/passwd", "/dev/zero", "a,b", '"', "'", "#", "attack", "bona_fide", "live", "print", "test", "dev"),
)
"""Words that readers of text may misunderstand."""

ODD_VALUES = (None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf"), [], {}, [[]])
"""Values that readers of documents may misunderstand."""


@st.composite
def changed_file(draw: Draw, seeds: Sequence[bytes]) -> bytes:
    """One of ``seeds`` after one to four changes. The checksums of a PNG are corrected in half of the cases."""
    content = draw(st.sampled_from(seeds))
    for change in draw(st.lists(st.sampled_from(_CHANGES), min_size=1, max_size=4)):
        content = change(draw, content, seeds)
    if content.startswith(_PNG) and draw(st.booleans()):
        return _with_checksums(content)
    return content


def _place(draw: Draw, content: bytes) -> int:
    """A position in a file. Half of all positions are among the first 64 or 1024 bytes, where headers are."""
    end = draw(st.sampled_from((64, 1024, len(content), len(content))))
    return draw(st.integers(0, max(0, min(end, len(content)) - 1)))


def _flip_bit(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    old = content[place] if content else 0
    return content[:place] + bytes([old ^ 1 << draw(st.integers(0, 7))]) + content[place + 1 :]


def _set_number(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    """Write a number that is often a wrong length, in 1 to 8 bytes."""
    place, width = _place(draw, content), draw(st.sampled_from((1, 2, 4, 8)))
    number = draw(st.sampled_from((*_NUMBERS, len(content), len(content) - place)))
    order = draw(st.sampled_from(("big", "little")))
    return content[:place] + (number % 256**width).to_bytes(width, order) + content[place + width :]


def _cut(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    return content[: _place(draw, content)]


def _remove(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    return content[:place] + content[place + draw(st.integers(1, 64)) :]


def _insert(draw: Draw, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Insert random bytes, or a piece of a seed."""
    place = _place(draw, content)
    if draw(st.booleans()):
        piece = draw(st.binary(min_size=1, max_size=32))
    else:
        other = draw(st.sampled_from(seeds))
        start = _place(draw, other)
        piece = other[start : start + draw(st.integers(1, 4096))]
    return content[:place] + piece * draw(st.sampled_from((1, 1, 2, 50))) + content[place:]


def _insert_word(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    return content[:place] + draw(st.sampled_from(ODD_WORDS)).encode() + content[place:]


def _replace_field(draw: Draw, content: bytes, _: Sequence[bytes]) -> bytes:
    """Replace a field between two separators of a text."""
    separator = draw(st.sampled_from((b",", b" ", b"\n", b"=", b":", b'"')))
    fields = content.split(separator)
    fields[draw(st.integers(0, len(fields) - 1))] = draw(st.sampled_from(ODD_WORDS)).encode()
    return separator.join(fields)


_CHANGES = (_flip_bit, _flip_bit, _set_number, _set_number, _cut, _remove, _insert, _insert_word, _replace_field)


def _with_checksums(content: bytes) -> bytes:
    """A PNG with the right checksum of each chunk, as far as the lengths of the chunks lead."""
    parts, place = [_PNG], len(_PNG)
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        if end + 4 > len(content):
            break
        parts += [content[place:end], zlib.crc32(content[place + 4 : end]).to_bytes(4, "big")]
        place = end + 4
    return b"".join(parts) + content[place:]


_VALUES = st.recursive(
    st.sampled_from(ODD_VALUES) | st.sampled_from(ODD_WORDS) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ODD_WORDS[:8]), inner, max_size=3),
    max_leaves=5,
).map(deepcopy)  # a change of a document must not change the values of later documents
_LIKE = {
    bool: st.booleans(),
    int: st.integers(-2, 5000) | st.integers(),
    float: st.floats(0, 2) | st.floats(allow_nan=False, allow_infinity=False) | st.floats(),
    str: st.sampled_from(ODD_WORDS) | st.text(),
}
"""A type -> other values of this type, which readers accept more often."""


@st.composite
def changed_document(draw: Draw, seeds: Sequence[Any]) -> Any:
    """One of the JSON-like ``seeds``, in which one to three values are replaced, removed or doubled."""
    document = json.loads(json.dumps(draw(st.sampled_from(seeds))))
    for _ in range(draw(st.integers(1, 3))):
        place, key = _parent(draw, document)
        if place is None:
            return draw(_VALUES)
        action = draw(st.sampled_from(("like", "like", "like", "replace", "replace", "remove", "add", "nest")))
        if action == "like":
            place[key] = draw(_LIKE.get(type(place[key]), _VALUES))
        elif action == "replace":
            place[key] = draw(_VALUES)
        elif action == "remove":
            del place[key]
        elif action == "nest":
            place[key] = _nested(place[key], draw(st.sampled_from((1, 3, 300, 5000))))
        elif isinstance(place, list):
            place.append(draw(_VALUES | st.just(place[key])))
        else:
            place[draw(st.sampled_from(ODD_WORDS))] = draw(_VALUES)
    return document


def _parent(draw: Draw, document: Any) -> tuple[Any, Any]:
    """A container in the document and one of its keys; (None, None) for a document that is empty or a single value."""
    place, key, current = None, None, document
    while isinstance(current, dict | list) and current and (place is None or draw(st.integers(0, 3))):
        place = current
        key = draw(st.sampled_from(list(current) if isinstance(current, dict) else range(len(current))))
        current = current[key]
    return place, key


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def toml_text(document: Any) -> bytes:
    """A document as TOML, with inline tables. A value that TOML cannot hold makes text that is not TOML."""
    if not isinstance(document, Mapping):
        return _toml_value(document).encode("utf-8", "surrogatepass")
    lines = [f"{_toml_key(key)} = {_toml_value(value)}\n" for key, value in document.items()]
    return "".join(lines).encode("utf-8", "surrogatepass")


def _toml_key(key: Any) -> str:
    bare = set(string.ascii_letters + string.digits + "_-")
    return key if key and set(key) <= bare else json.dumps(key, ensure_ascii=False)


def _toml_value(value: Any) -> str:
    opened: list[str] = []
    while isinstance(value, list) and len(value) == 1:  # without recursion: a nested list may be 5000 lists deep
        value = value[0]
        opened.append("[")
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(inner)}" for key, inner in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(map(_toml_value, value)) + "]"
    elif isinstance(value, float):
        text = repr(value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    return "".join(opened) + text + "]" * len(opened)


@st.composite
def changed_table(draw: Draw, seed: bytes, separator: str, *, header: bool = True, most: int = 8) -> bytes:
    """Up to ``most`` rows, and columns of a table of text, in any order, with up to three odd fields.

    With ``most`` of at least the number of rows, half of the tables have all rows.
    """
    first, *valid = (line.split(separator) for line in seed.decode().splitlines())
    columns = draw(st.permutations(range(len(first)))) if draw(st.booleans()) and header else list(range(len(first)))
    columns = columns[: draw(st.integers(2, len(columns)))] if draw(st.integers(0, 3)) == 0 else columns
    if most < len(valid) or draw(st.booleans()):
        rows = draw(st.lists(st.sampled_from(valid), max_size=most, unique_by=tuple))
    else:
        rows = valid
    rows = [[row[column] for column in columns] for row in [first, *rows]]
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.sampled_from(rows))
        row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(ODD_WORDS) | st.text(max_size=8))
    text = draw(st.sampled_from(("\n", "\n", "\r\n", "\r"))).join(separator.join(row) for row in rows)
    return text.encode("utf-8", "surrogatepass")
