"""Where a release goes: anything that fsspec knows (the extra `publish`).

An object store takes a file whole or not at all; elsewhere a file is written beside its place and
moved there. Types, cache headers and compression are told to S3; of other places they are the
server's affair.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, NamedTuple

from builder.push.headers import Headers
from oracle.errors import RequestError, TargetError
from oracle.masking import mask

S3 = {"s3", "s3a"}
OBJECT_STORES = S3 | {"gs", "gcs", "abfs", "abfss", "az", "oss", "memory"}
EXTRA = "pip install 'onchain-oracle[publish]' brings it"


class Target(NamedTuple):
    """An open target: its file system, the folder in it, and its address without secrets."""

    files: Any
    folder: str
    name: str

    @property
    def _kinds(self) -> set[str]:
        protocol = self.files.protocol
        return {protocol} if isinstance(protocol, str) else set(protocol)

    @property
    def takes_headers(self) -> bool:
        """Whether type, cache and compression can be said with a file."""
        return bool(self._kinds & S3)

    def read(self, key: str) -> bytes | None:
        """Return a file, or None where there is none."""
        try:
            data: bytes = self.files.cat_file(self._place(key))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._failed(error) from error
        return data

    def write(self, key: str, data: bytes, headers: Headers) -> None:
        """Put a file there, in one step."""
        place = self._place(key)
        try:
            if self._kinds & OBJECT_STORES:
                self.files.pipe_file(place, data, **self._said(headers))
                return
            aside = PurePosixPath(place).with_name(f".tmp-{PurePosixPath(place).name}").as_posix()
            self.files.makedirs(self.files._parent(place), exist_ok=True)
            self.files.pipe_file(aside, data)
            self.files.mv(aside, place)
        except Exception as error:
            raise self._failed(error) from error

    def remove(self, key: str) -> None:
        """Remove a file, if it is there."""
        try:
            self.files.rm_file(self._place(key))
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._failed(error) from error

    def _place(self, key: str) -> str:
        return f"{self.folder}/{key}"

    def _said(self, headers: Headers) -> dict[str, str]:
        if not self.takes_headers:
            return {}
        said = {"ContentType": headers.content_type, "CacheControl": headers.cache_control}
        return {**said, **({"ContentEncoding": "gzip"} if headers.is_packed else {})}

    def _failed(self, error: Exception) -> TargetError:
        return TargetError(self.name, f"{type(error).__name__}: {mask(str(error))}")


def open_target(address: str) -> Target:
    """Open a target by its address, as in s3://bucket/folder or a folder's path.

    Raises:
        RequestError: fsspec, or what it needs for such an address, is not installed, or there is
            no such kind of address.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise RequestError(f"oracle publish needs fsspec: {EXTRA}") from None
    try:
        files, folder = url_to_fs(address)
    except ImportError as error:
        raise RequestError(f"{mask(address)}: {error}; {EXTRA}, or install that") from None
    except Exception as error:
        raise RequestError(
            f"{mask(address)} is no place to publish to: {mask(str(error))}; give it as in "
            f"s3://bucket/folder, or a folder's path"
        ) from error
    if not folder.strip("/"):
        raise RequestError(f"{mask(address)} names no bucket and no folder: nothing goes to a root")
    return Target(files, folder.rstrip("/"), mask(address))
