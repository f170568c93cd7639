"""Lists and reads local files, buckets (with pyarrow) and URLs (with fsspec)."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from facepad.errors import InputError, first_line, reason, unknown_choice
from facepad.files import shards
from facepad.files.disk import walk_files
from facepad.files.opening import read_up_to, too_long

__all__ = ["SCHEMES", "GoneError", "RefusedError", "UnreachedError", "is_remote", "open_file", "read_range", "walk"]

SCHEMES = ("s3", "gs", "http", "https")
"""The known schemes of URLs."""

_BUCKET_OPTIONS = ("region", "endpoint_override", "scheme", "anonymous")
_CHUNK = 1 << 16  # Bytes.
_CONNECT_SECONDS, _REQUEST_SECONDS, _ATTEMPTS = 5.0, 30.0, 3


class GoneError(OSError):
    """The file does not exist, or no longer exists."""


class RefusedError(OSError):
    """The file exists but cannot be read, because access is forbidden or the file is damaged."""


class UnreachedError(OSError):
    """The network or the store failed. A later attempt may read the file."""


def is_remote(word: str) -> bool:
    """Whether a word is a URL with a known scheme.

    Raises:
        InputError: The word is a URL with another scheme.

    >>> is_remote("s3://bucket/faces"), is_remote("photos/a.jpg")
    (True, False)
    """
    scheme, found, _ = word.partition("://")
    if not found or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return False
    if scheme not in SCHEMES:
        raise InputError(unknown_choice("kind of address", f"{scheme}://", [f"{known}://" for known in SCHEMES]))
    return True


def open_file(url: str, limit: int | None = None) -> BinaryIO:
    """Open a file for reading and seeking. A local file must be a regular file of at most ``limit`` bytes.

    Raises:
        GoneError, RefusedError, UnreachedError: The file cannot be opened.
    """
    try:
        if not is_remote(url):
            return shards.open_file(url, limit)
        if _is_web(url):
            return cast(BinaryIO, _web_filesystem().open(url, "rb"))
        store, path = _bucket_of(url)
        return cast(BinaryIO, store.open_input_file(path))
    except Exception as error:
        raise _store_error(error, url) from error


def read_range(url: str, place: tuple[int, int] | None = None, *, limit: int) -> bytes:
    """Read the bytes of a file, or only the range ``place`` (offset, length).

    Raises:
        GoneError, RefusedError, UnreachedError: The bytes cannot be read, or are more than ``limit``.
    """
    try:
        if place is not None and place[1] > limit:
            raise too_long(url, str(place[1]), limit)
        if is_remote(url) and _is_web(url):
            content = _read_web(url, place, limit)
        else:
            with open_file(url, limit if place is None else None) as stream:
                told = stream.seek(0, os.SEEK_END)
                stream.seek(place[0] if place else 0)
                content = stream.read(place[1]) if place else read_up_to(stream, limit, told)
        if len(content) > limit:
            raise too_long(url, f"more than {limit}", limit)
        return content
    except Exception as error:
        raise _store_error(error, url) from error


def _read_web(url: str, place: tuple[int, int] | None, limit: int) -> bytes:
    from fsspec.asyn import sync

    files = _web_filesystem()
    if place is not None:
        return cast(bytes, files.cat_file(url, start=place[0], end=sum(place)))
    return cast(bytes, sync(files.loop, _download, files, url, limit))


async def _download(files: Any, url: str, limit: int) -> bytes:
    """The content of a web address. The download stops above the limit, because an answer may never end."""
    session = await files.set_session()
    content = bytearray()
    async with session.get(files.encode_url(url), **files.kwargs) as answer:
        if answer.status == HTTPStatus.NOT_FOUND:
            raise FileNotFoundError(url)
        answer.raise_for_status()
        async for part in answer.content.iter_chunked(_CHUNK):
            content += part
            if len(content) > limit:
                raise too_long(url, f"more than {limit}", limit)
    return bytes(content)


def walk(url: str, broken: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the URL, and the path below ``url``, of every file in a folder or bucket except hidden files.

    Hidden folders are also skipped. Memory holds one folder at a time. A folder that is deleted meanwhile is skipped.

    Args:
        url: The folder or bucket.
        broken: Gets the path below ``url``, and the reason, of each local folder that cannot be read.

    Raises:
        InputError: A folder or bucket is missing, forbidden or unreachable.
    """
    if is_remote(url):
        if _is_web(url):
            raise InputError(f"{url}: a web address must name a listing (.txt, .csv), a .tar or a .parquet file")
        yield from _walk_bucket(url)
    else:
        for file in walk_files(Path(url), hidden=False, broken=broken):
            yield str(file), file.relative_to(url).as_posix()


def _walk_bucket(url: str) -> Iterator[tuple[str, str]]:
    from pyarrow.fs import FileSelector, FileType

    store, root = _bucket_of(url)
    query = urlsplit(url).query
    scheme = urlsplit(url).scheme
    folders = [root.rstrip("/")]
    while folders:
        folder = folders.pop()
        try:
            entries = store.get_file_info(FileSelector(folder, recursive=False))
        except FileNotFoundError as error:
            if folder == root.rstrip("/"):
                raise InputError(f"cannot list {scheme}://{root}: there is no such bucket or folder") from error
            continue
        except OSError as error:
            raise InputError(f"cannot list {scheme}://{folder}: {_first_line(error)}") from error
        for entry in entries:
            if entry.base_name.startswith("."):
                continue
            if entry.type == FileType.Directory:
                folders.append(entry.path)
            elif entry.type == FileType.File:
                address = f"{scheme}://{quote(entry.path)}" + (f"?{query}" if query else "")
                yield address, entry.path.removeprefix(root.rstrip("/")).lstrip("/")


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


@lru_cache(maxsize=1)
def _web_filesystem() -> Any:
    import aiohttp
    import fsspec

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_REQUEST_SECONDS)
    return fsspec.filesystem("http", client_kwargs={"timeout": timeout}, skip_instance_cache=True)


def _bucket_of(url: str) -> tuple[Any, str]:
    """The cached store of a URL, and the path ``bucket/key`` in the store."""
    parts = urlsplit(url)
    return _bucket_filesystem(parts.scheme, parts.netloc, parts.query), f"{parts.netloc}{unquote(parts.path)}"


@lru_cache(maxsize=16)
def _bucket_filesystem(scheme: str, bucket: str, query: str) -> Any:
    from pyarrow import fs

    if not bucket:
        raise InputError(f"{scheme}://: expected a bucket's name, such as {scheme}://bucket/folder")
    options = dict(parse_qsl(query))
    if unknown := sorted(options.keys() - set(_BUCKET_OPTIONS)):
        raise InputError(f"{scheme}://{bucket}: {unknown_choice('option', unknown[0], _BUCKET_OPTIONS)}")
    anonymous = options.pop("anonymous", "").lower() in ("1", "true")
    if scheme == "gs":
        options.pop("region", None)
        patience = timedelta(seconds=_REQUEST_SECONDS)  # The default is 15 minutes.
        return fs.GcsFileSystem(anonymous=anonymous, retry_time_limit=patience, **options)
    region = options.pop("region", None) or (None if "endpoint_override" in options else _bucket_region(bucket))
    return fs.S3FileSystem(
        anonymous=anonymous,
        region=region,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        **options,
    )


def _bucket_region(bucket: str) -> str | None:
    """The region of a bucket. None means that environment variables set the region."""
    from pyarrow import fs

    if any(name in os.environ for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")):
        return None
    try:
        return str(fs.resolve_s3_region(bucket))
    except OSError as error:
        raise InputError(f"cannot reach s3://{bucket}: {_first_line(error)}") from error


def _store_error(error: Exception, url: str) -> Exception:
    """Convert an error of a store to one of the three errors of this module. Other errors are returned unchanged."""
    if isinstance(error, GoneError | RefusedError | UnreachedError | InputError):
        return error
    if isinstance(error, FileNotFoundError):
        return GoneError("it does not exist")
    status = getattr(error, "status", None)  # The HTTP status of a web server's answer.
    text = _first_line(error)
    if getattr(error, "errno", None) == errno.EFBIG:
        return RefusedError(f"cannot be read ({reason(error)})")
    if isinstance(error, PermissionError) or "ACCESS_DENIED" in str(error) or status in (401, 403):
        return RefusedError(f"access is forbidden ({text})" if is_remote(url) else "cannot be read (Permission denied)")
    if isinstance(status, int) and 400 <= status < 500:
        return RefusedError(text)
    if is_remote(url):
        return UnreachedError(text)
    if isinstance(error, OSError | ValueError):  # ValueError: a null byte in the name.
        return RefusedError(f"cannot be read ({reason(error)})")
    return error


def _first_line(error: Exception) -> str:
    """The first line of an error message. Messages of stores can have many lines."""
    return first_line(error)[:200]
