"""What SOURCE names: folders, patterns, manifests, listings, Parquet files and tar shards become items, one by one."""

from __future__ import annotations

import fnmatch
import glob
import io
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from facepad.datasets.manifest import iter_manifest
from facepad.errors import InputError
from facepad.scale.items import Item, media_of, printable
from facepad.scale.stores import SCHEMES, GoneError, RefusedError, UnreachedError, is_remote, open_file, walk

__all__ = ["Source", "open_source"]

_TAR, _PARQUET, _MANIFEST, _LISTING = ".tar", ".parquet", ".csv", ".txt"
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True)
class Source:
    """Where the inputs of a run come from.

    Attributes:
        name: As it is kept with the results; a local one is absolute.
        list_items: The items one by one, from the beginning at every call; memory does not grow with their number.
            What cannot be listed raises an InputError, when its turn comes.
    """

    name: str
    list_items: Callable[[], Iterator[Item]]

    @property
    def remote(self) -> bool:
        """Whether listing it costs requests."""
        return is_remote(self.name)


def open_source(word: str, *, column: str | None = None) -> Source:
    """A SOURCE of the command line.

    Args:
        word: A folder, a pattern, a file of images, ``manifest.csv``, a listing (``.txt``: a path or address a line),
            ``.parquet``, ``.tar`` (uncompressed), or an address of such (``s3://``, ``gs://``, ``http://``,
            ``https://``). Folders and patterns take images, videos, ``.tar`` and ``.parquet`` files.
        column: The Parquet column that holds the files' bytes; None takes the only one of that type.

    Raises:
        InputError: nothing is there, or it is nothing of these. Items are listed when they are asked for.
    """
    remote = is_remote(word)
    name = word if remote else str(Path(word).absolute())
    if not remote and Path(word).is_dir():
        return Source(name, lambda: _below(name, column))
    plain = urlsplit(word).path if remote else word
    if glob.has_magic(plain) and (remote or not Path(word).exists()):
        return Source(name, lambda: _matching(name, column))
    if plain.lower().endswith(_PACKED):
        raise InputError(f"{word}: a compressed tar cannot be read from the middle; expected a plain .tar")
    if not remote and not Path(word).exists():
        raise InputError(f"no input: {word} does not exist")
    lister = _lister(plain)
    if lister is not None:
        return Source(name, lambda: lister(name, PurePosixPath(plain).name, column))
    if remote and word.startswith(("s3://", "gs://")) and media_of(plain) is None:
        return Source(name, lambda: _below(name, column))
    if media_of(plain) is not None:
        return Source(name, lambda: iter([_file(name, PurePosixPath(plain).name)]))
    raise InputError(
        f"{word}: expected a folder, a pattern, an image or video, manifest.csv, a listing (.txt), .parquet, .tar, "
        f"or an address of such ({', '.join(f'{scheme}://' for scheme in SCHEMES)})"
    )


_Lister = Callable[[str, str, str | None], Iterator[Item]]


def _lister(name: str) -> _Lister | None:
    listers: dict[str, _Lister] = {
        _TAR: _shard,
        _PARQUET: _rows,
        _MANIFEST: _manifest,
        _LISTING: _listing,
    }
    return listers.get(PurePosixPath(name).suffix.lower())


def _file(url: str, key: str) -> Item:
    return Item(printable(key), media_of(urlsplit(url).path if is_remote(url) else url) or "image", url)


def _below(url: str, column: str | None) -> Iterator[Item]:
    for address, key in walk(url):
        yield from _found(address, key, column)


def _found(url: str, key: str, column: str | None) -> Iterator[Item]:
    """The items of a file that a folder or pattern gave; files of other kinds are no inputs."""
    suffix = PurePosixPath(key).suffix.lower()
    if suffix == _TAR:
        yield from _shard(url, key, column)
    elif suffix == _PARQUET:
        yield from _rows(url, key, column)
    elif media_of(key) is not None:
        yield _file(url, key)


def _matching(pattern: str, column: str | None) -> Iterator[Item]:
    """The files that match; keys are the part of their paths that may differ."""
    root = _fixed_part(pattern)
    if not is_remote(pattern):
        for match in glob.iglob(pattern, recursive=True):  # noqa: PTH207 - Path.glob takes no absolute pattern
            key = Path(match).relative_to(root).as_posix()
            if Path(match).is_file():
                yield from _found(match, key, column)
        return
    wanted = _pattern(unquote(urlsplit(pattern).path))
    base = root.partition("?")[0]
    for address, key in walk(root):
        if wanted.fullmatch(unquote(urlsplit(base).path) + key):
            yield from _found(address, key, column)


def _fixed_part(pattern: str) -> str:
    """The folder before the first wildcard.

    >>> _fixed_part("/data/2026-*/**/*.jpg"), _fixed_part("s3://b/x/*.tar?region=eu")
    ('/data/', 's3://b/x/?region=eu')
    """
    path, mark, query = pattern.partition("?") if is_remote(pattern) else (pattern, "", "")
    magic = re.search(r"[*?\[]", path)
    fixed = path[: magic.start()] if magic else path
    return fixed[: fixed.rindex("/") + 1] + mark + query


def _pattern(path: str) -> re.Pattern[str]:
    """``*`` stays within a folder and ``**/`` goes through any, as in local patterns."""
    parts = []
    for part in re.split(r"(\*\*/|\*|\[[^\]]*\])", path):
        special = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}.get(part)
        if special is None:
            special = fnmatch.translate(part)[4:-3] if part.startswith("[") else re.escape(part)
        parts.append(special)
    return re.compile("".join(parts))


def _manifest(url: str, key: str, column: str | None) -> Iterator[Item]:
    """The lines of a manifest; what they name lies beside it."""
    with _text(url) as stream:
        for sample in iter_manifest(stream, url):
            frame = "" if sample.frame is None else f"#{sample.frame}"
            yield Item(
                f"{sample.path}{frame}", media_of(sample.path) or "image", _beside(url, sample.path), sample=sample
            )


def _listing(url: str, key: str, column: str | None) -> Iterator[Item]:
    """The lines of a text file, each a path or an address; empty ones and those that begin with # are none."""
    with _text(url) as stream:
        try:
            for line in stream:
                name = line.strip()
                if name and not name.startswith("#"):
                    yield _file(name if is_remote(name) else _beside(url, name), name)
        except UnicodeDecodeError as error:
            raise InputError(f"{url} is not a text file in UTF-8 (byte {error.start})") from error


def _text(url: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(_opened(url), encoding="utf-8-sig", newline="")


def _opened(url: str) -> Any:
    try:
        return open_file(url)
    except (GoneError, RefusedError, UnreachedError) as error:
        raise InputError(f"cannot read {printable(url)}: {error}") from error


def _beside(url: str, name: str) -> str:
    """Where a relative name of a listing or manifest lies."""
    if not is_remote(url):
        return str(Path(url).parent / name)
    path, mark, query = url.partition("?")
    if url.startswith(("http://", "https://")):
        return urljoin(path, quote(name))
    return f"{path.rpartition('/')[0]}/{quote(name)}{mark}{query}"


def _shard(url: str, key: str, column: str | None) -> Iterator[Item]:
    """The images and videos of a tar, by their headers; a broken tar ends with an item that says so."""
    stream = _opened(url)
    try:
        with stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                kind = media_of(member.name) if member.isfile() else None
                if kind:
                    yield Item(printable(f"{key}/{member.name}"), kind, url, (member.offset_data, member.size))
    except (tarfile.TarError, OSError, EOFError) as error:
        yield Item(printable(key), "image", url, problem=f"not a whole tar file ({error})")


def _rows(url: str, key: str, column: str | None) -> Iterator[Item]:
    """The rows of a Parquet file, by its footer."""
    import pyarrow as pa
    from pyarrow import parquet

    stream = _opened(url)
    try:
        with stream, parquet.ParquetFile(stream) as file:
            name = _column(file.schema_arrow, column, url)
            groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        yield Item(printable(key), "image", url, problem=f"not a whole Parquet file ({str(error).splitlines()[0]})")
        return
    first = 0
    for group, rows in enumerate(groups):
        for row in range(rows):
            yield Item(printable(f"{key}/{first + row}"), "image", url, (group, row), name)
        first += rows


def _column(schema: Any, asked: str | None, url: str) -> str:
    """The column of bytes; one within a struct (``image.bytes``) is named with a dot."""
    from pyarrow import types

    known: dict[str, Any] = {}
    for field in schema:
        known[field.name] = field.type
        if types.is_struct(field.type):
            known |= {f"{field.name}.{part.name}": part.type for part in field.type}
    binary = [name for name, kind in known.items() if types.is_binary(kind) or types.is_large_binary(kind)]
    if asked in binary:
        return str(asked)
    if asked is None and len(binary) == 1:
        return binary[0]
    what = "no column" if asked is None and not binary else f"columns {', '.join(binary)}"
    wrong = "name one with --column" if asked is None else f"expected one of these, got {asked!r}"
    if not binary:
        raise InputError(f"{printable(url)}: no column holds bytes of images; columns: {', '.join(known)}")
    raise InputError(f"{printable(url)}: {what} hold bytes; {wrong}")
