"""Lists the items of SOURCE: a folder, pattern, manifest, listing, Parquet file or tar shard."""

from __future__ import annotations

import glob
import io
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from facepad.datasets.manifest import iter_manifest
from facepad.errors import InputError, first_line
from facepad.files.disk import printable
from facepad.files.endings import NotRead
from facepad.files.shards import tar_headers
from facepad.scale.items import Item, media_of
from facepad.scale.stores import SCHEMES, GoneError, RefusedError, UnreachedError, is_remote, open_file, walk

__all__ = ["BulkSource", "open_source"]


class _UnusableError(InputError):
    """A tar, Parquet or text file that has no items. ``reason`` is the message without the name of the file."""

    def __init__(self, url: str, reason: str, message: str = "{}: {}") -> None:
        super().__init__(message.format(printable(url), reason))
        self.reason = reason


_TAR, _PARQUET, _MANIFEST, _LISTING = ".tar", ".parquet", ".csv", ".txt"
_LONGEST_LINE = 100_000
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")  # The byte order marks, decoded with "surrogateescape".
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True)
class BulkSource:
    """The source of the items of a run.

    Attributes:
        name: The name that is stored with the results. A local source has an absolute path as name.
        lister: Function that lists the items one by one, and counts the files of folders that are not read.
    """

    name: str
    lister: Callable[[NotRead], Iterator[Item]]

    def list_items(self, not_read: NotRead | None = None) -> Iterator[Item]:
        """List the items one by one, from the first item. Memory does not grow with the number of items.

        A part of the source that cannot be used, such as a broken tar file in a folder, or a line of a listing that is
        no path, has one item with the problem.

        Args:
            not_read: Counts the files of a folder or pattern that have no items. Hidden files are not counted.

        Raises:
            InputError: The source itself cannot be listed, or a store cannot be reached. The error is raised when the
                part is reached.
        """
        return self.lister(NotRead() if not_read is None else not_read)

    @property
    def remote(self) -> bool:
        """Whether listing the source needs network requests."""
        return is_remote(self.name)


def open_source(word: str, *, column: str | None = None) -> BulkSource:
    """Open the source that a word of the command line names. The items are listed later.

    Args:
        word: A path or a URL (``s3://``, ``gs://``, ``http://``, ``https://``). It names a folder, a pattern, an
            image, a video, ``manifest.csv``, a listing (``.txt`` with one path or URL per line), a ``.parquet``
            file or an uncompressed ``.tar`` file. Folders and patterns give images, videos, ``.tar`` and ``.parquet``
            files.
        column: The Parquet column with the bytes of the files. None means the only column of bytes.

    Raises:
        InputError: The file or folder does not exist, or is of another kind, or the word is empty.
    """
    if not word:  # An unset variable of a script. As a path it would be the present folder.
        raise InputError("SOURCE is empty; for the present folder write .")
    remote = is_remote(word)
    name = word if remote else str(Path(word).absolute())
    if not remote and Path(word).is_dir():
        return BulkSource(name, lambda not_read: _folder_items(name, column, not_read))
    plain = urlsplit(word).path if remote else word
    if glob.has_magic(plain) and (remote or not Path(word).exists()):
        return BulkSource(name, lambda not_read: _pattern_items(name, column, not_read))
    if plain.lower().endswith(_PACKED):
        raise InputError(f"{word}: a compressed tar cannot be read from the middle; expected a plain .tar")
    if not remote and not Path(word).exists():
        raise InputError(f"no input: {word} does not exist")
    lister = _lister(plain)
    if lister is not None:
        return BulkSource(name, lambda _: lister(name, PurePosixPath(plain).name, column))
    if remote and word.startswith(("s3://", "gs://")) and media_of(plain) is None:
        return BulkSource(name, lambda not_read: _folder_items(name, column, not_read))
    if media_of(plain) is not None:
        return BulkSource(name, lambda _: iter([_file_item(name, PurePosixPath(plain).name)]))
    raise InputError(
        f"{word}: expected a folder, a pattern, an image or video, manifest.csv, a listing (.txt), .parquet, .tar, "
        f"or the address of one of these ({', '.join(f'{scheme}://' for scheme in SCHEMES)})"
    )


_Lister = Callable[[str, str, str | None], Iterator[Item]]


def _lister(name: str) -> _Lister | None:
    listers: dict[str, _Lister] = {
        _TAR: _shard_items,
        _PARQUET: _parquet_items,
        _MANIFEST: _manifest_items,
        _LISTING: _listing_items,
    }
    return listers.get(PurePosixPath(name).suffix.lower())


def _file_item(url: str, key: str) -> Item:
    return Item(printable(key), media_of(urlsplit(url).path if is_remote(url) else url) or "image", url)


def _folder_items(url: str, column: str | None, not_read: NotRead) -> Iterator[Item]:
    broken: list[tuple[str, str]] = []
    for address, key in walk(url, broken):
        yield from _broken_items(broken)
        yield from _listed_file_items(address, key, column, not_read)
    yield from _broken_items(broken)


def _broken_items(broken: list[tuple[str, str]]) -> Iterator[Item]:
    """Yield an item for each folder that cannot be read, and empty the list."""
    while broken:
        name, why = broken.pop(0)
        yield Item(printable(f"{name}/"), "image", name, problem=f"its folder cannot be read ({why})")


def _listed_file_items(url: str, key: str, column: str | None, not_read: NotRead) -> Iterator[Item]:
    """Yield the items of a file that a folder or pattern lists. Files of other kinds have no items, and are counted."""
    lister = {_TAR: _shard_items, _PARQUET: _parquet_items}.get(PurePosixPath(key).suffix.lower())
    if lister is not None:
        try:
            yield from lister(url, key, column)
        except _UnusableError as error:
            yield Item(printable(key), "image", url, problem=error.reason)
    elif media_of(key) is not None:
        yield _file_item(url, key)
    else:
        not_read.add(key)


def _pattern_items(pattern: str, column: str | None, not_read: NotRead) -> Iterator[Item]:
    """Yield the items of the files that match. The key is the path below the last folder without a wildcard."""
    root = _fixed_folder(pattern)
    if not is_remote(pattern):
        for match in glob.iglob(pattern, recursive=True):  # noqa: PTH207 - Path.glob takes no absolute pattern
            key = Path(match).relative_to(root).as_posix()
            if not os.path.isdir(match):  # noqa: PTH112 - Path.is_dir raises for a folder that may not be searched
                yield from _listed_file_items(match, key, column, not_read)
        return
    wanted = _pattern_regex(unquote(urlsplit(pattern).path))
    base = root.partition("?")[0]
    for address, key in walk(root, []):
        if wanted.fullmatch(unquote(urlsplit(base).path) + key):
            yield from _listed_file_items(address, key, column, not_read)


def _fixed_folder(pattern: str) -> str:
    """The folder before the first wildcard.

    >>> _fixed_folder("/data/2026-*/**/*.jpg"), _fixed_folder("s3://b/x/*.tar?region=eu")
    ('/data/', 's3://b/x/?region=eu')
    """
    path, mark, query = pattern.partition("?") if is_remote(pattern) else (pattern, "", "")
    magic = re.search(r"[*?\[]", path)
    fixed = path[: magic.start()] if magic else path
    return fixed[: fixed.rindex("/") + 1] + mark + query


def _pattern_regex(pattern: str) -> re.Pattern[str]:
    """The regular expression of a remote pattern, in which ``*`` and ``**/`` match as in a local pattern."""
    from fsspec.utils import glob_translate

    try:
        return re.compile(glob_translate(pattern))
    except ValueError as error:
        raise InputError(f"{pattern}: ** must be the name of a whole folder, as in photos/**/*.jpg") from error


def _manifest_items(url: str, key: str, column: str | None) -> Iterator[Item]:
    """Yield the lines of a manifest. File paths are relative to the folder of the manifest."""
    with _open_text(url) as stream:
        for sample in iter_manifest(_lines(stream, url), url):
            frame = "" if sample.frame is None else f"#{sample.frame}"
            yield Item(
                f"{sample.path}{frame}",
                media_of(sample.path) or "image",
                _path_relative_to(url, sample.path),
                sample=sample,
            )


def _listing_items(url: str, key: str, column: str | None) -> Iterator[Item]:
    """Yield the paths and URLs in a text file. Empty lines and lines that begin with # are skipped."""
    # A file name may have bytes that are not UTF-8. With "surrogateescape" the name opens the file with these bytes.
    with _open_text(url, errors="surrogateescape") as stream:
        for line in _lines(stream, url):
            if line.startswith(_UTF_16):
                raise _UnusableError(url, "UTF-16; expected a text file in UTF-8")
            name = line.strip()
            if name and not name.startswith("#"):
                yield _line_item(url, name)


def _line_item(url: str, name: str) -> Item:
    try:
        return _file_item(name if is_remote(name) else _path_relative_to(url, name), name)
    except (InputError, ValueError) as error:  # ValueError: a malformed URL
        return Item(printable(name), "image", url, problem=str(error))


def _lines(stream: io.TextIOWrapper, url: str) -> Iterator[str]:
    """The lines of a text. A file without line ends is refused, because a line is read into memory."""
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise InputError(f"{printable(url)} is not a list: a line has more than {_LONGEST_LINE} characters")
        yield line


def _open_text(url: str, errors: str = "strict") -> io.TextIOWrapper:
    return io.TextIOWrapper(_open_or_refuse(url), encoding="utf-8-sig", newline="", errors=errors)


def _open_or_refuse(url: str) -> Any:
    try:
        return open_file(url)
    except UnreachedError as error:  # a later run may reach it
        raise InputError(f"cannot read {printable(url)}: {error}") from error
    except (GoneError, RefusedError) as error:
        raise _UnusableError(url, str(error), "cannot read {}: {}") from error


def _path_relative_to(url: str, name: str) -> str:
    """The path or URL of a file, given relative to the folder of a listing or manifest."""
    if not is_remote(url):
        return str(Path(url).parent / name)
    path, mark, query = url.partition("?")
    if url.startswith(("http://", "https://")):
        return urljoin(path, quote(name))
    return f"{path.rpartition('/')[0]}/{quote(name)}{mark}{query}"


def _shard_items(url: str, key: str, column: str | None) -> Iterator[Item]:
    """Yield the images and videos of a tar file by its headers. A damaged tar file ends with an item with a problem."""
    stream = _open_or_refuse(url)
    try:
        with stream:
            for member in tar_headers(stream):
                kind = media_of(member.name) if member.isfile() else None
                if kind:
                    yield Item(printable(f"{key}/{member.name}"), kind, url, (member.offset_data, member.size))
    except (tarfile.TarError, OSError, EOFError) as error:
        yield Item(printable(key), "image", url, problem=f"not a whole tar file ({error})")


def _parquet_items(url: str, key: str, column: str | None) -> Iterator[Item]:
    """Yield the rows of a Parquet file. The footer gives the number of rows."""
    import pyarrow as pa
    from pyarrow import parquet

    stream = _open_or_refuse(url)
    try:
        with stream, parquet.ParquetFile(stream) as file:
            name = _bytes_column(file.schema_arrow, column, url)
            groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        yield Item(printable(key), "image", url, problem=f"not a whole Parquet file ({first_line(error)})")
        return
    first = 0
    for group, rows in enumerate(groups):
        for row in range(rows):
            yield Item(printable(f"{key}/{first + row}"), "image", url, (group, row), name)
        first += rows


def _bytes_column(schema: Any, asked: str | None, url: str) -> str:
    """The name of the bytes column. A column inside a struct has a name with a dot (``image.bytes``)."""
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
    wrong = "name a column with --column" if asked is None else f"expected one of these, got {asked!r}"
    if not binary:
        raise _UnusableError(url, f"no column holds bytes of images; columns: {', '.join(known)}")
    raise _UnusableError(url, f"{what} hold bytes; {wrong}")
