"""What a Bitcoin Core data folder says about its node: RPC address, credentials, blocks."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

from oracle.address import Address, checked_host, checked_port, split_port
from oracle.errors import SettingsError
from oracle.sources.networks import NETWORKS, Network

MAX_INCLUDED = 20  # files that one bitcoin.conf may include; more is a mistake
MAX_CONF_BYTES = 1_000_000
MAX_COOKIE_BYTES = 1_000


class NodeFolder:
    """A node as its bitcoin.conf describes it, by the defaults where there is none.

    As in Core, the network's section goes before the common part, a common port is the main
    network's only, and files named by includeconf are read behind the file itself. Where no network
    is named, any may have run there. `problem` says why bitcoin.conf could not be read, if so.
    """

    def __init__(self, datadir: Path) -> None:
        self._datadir = datadir
        self.problem: str | None = None
        self._settings = self._read_all(datadir / "bitcoin.conf")
        named = _networks_named(self._settings)
        self._network = (named or list(NETWORKS))[0]
        self._folders = [network.folder for network in named[:1] or NETWORKS]
        self._root = self._existing("datadir", datadir)

    def rpc_address(self) -> Address:
        """Return where the node listens.

        Raises:
            SettingsError: bitcoin.conf names no port or no host there.
        """
        connect = self._get("rpcconnect") or "127.0.0.1"
        own_port = self._settings.get(f"{self._network.name}.rpcport")
        port_text = self._get("rpcport") if self._network.name == "main" else own_port
        try:
            host, port = split_port(connect)
            host = checked_host(host)
        except ValueError as error:
            raise self._wrong("rpcconnect", error) from None
        try:
            port = checked_port(port_text) if port_text else port
        except ValueError as error:
            raise self._wrong("rpcport", error) from None
        return Address("http", host, port or self._network.rpc_port, has_own_port=True)

    def rpc_url(self) -> str:
        """Return where the node listens, as a URL."""
        return self.rpc_address().shown

    def credentials(self) -> tuple[str, str] | None:
        """Return user and password of bitcoin.conf, else of the first cookie file that can be
        read."""
        if password := self._get("rpcpassword"):
            return self._get("rpcuser") or "", password
        for cookie in self._cookies():
            user, colon, password = _text_of(cookie, MAX_COOKIE_BYTES).strip().partition(":")
            if colon:
                return user, password
        return None

    def refusal(self) -> tuple[str, str]:
        """Say why the node may not accept what `credentials` found: for all, and for the owner."""
        if self._get("rpcpassword"):
            return (
                "does not accept rpcuser and rpcpassword of its bitcoin.conf: was it restarted "
                "since they were changed?",
                "",
            )
        if self.credentials() is not None:
            return "does not accept the cookie that we read: is BITCOIN_DATADIR its folder?", ""
        return (
            "wants a password, and there is none: no cookie can be read (does the node run with "
            "server=1, and may we read its files?), and neither BITCOIN_RPC_USER and "
            "BITCOIN_RPC_PASSWORD nor rpcpassword is set",
            f". {self._why_no_cookie()}",
        )

    def blocks_folders(self) -> list[Path]:
        """Return where the block files may be."""
        root = self._existing("blocksdir", self._root)
        return [root / folder / "blocks" for folder in self._folders]

    def _cookies(self) -> list[Path]:
        cookie = _expanded(self._get("rpccookiefile") or ".cookie")
        return [self._root / folder / cookie for folder in self._folders]

    def _why_no_cookie(self) -> str:
        if not _is_folder(self._datadir) and not _is_hidden(self._datadir / ".cookie"):
            return f"{self._datadir} does not exist here"
        hidden = [cookie for cookie in self._cookies() if _is_hidden(cookie)]
        if hidden:
            return f"{hidden[0]} cannot be read by user {user_name()}"
        return f"There is no {self._cookies()[0]}"

    def _get(self, key: str) -> str | None:
        return self._settings.get(f"{self._network.name}.{key}", self._settings.get(key))

    def _existing(self, key: str, otherwise: Path) -> Path:
        """Return the folder bitcoin.conf names, unless it does not exist here (a node in a
        container)."""
        named = _expanded(self._get(key) or str(otherwise))
        return named if _is_folder(named) else otherwise

    def _wrong(self, key: str, error: ValueError) -> SettingsError:
        return SettingsError([f"{key} in {self._datadir / 'bitcoin.conf'}: {error}"])

    def _read_all(self, path: Path) -> dict[str, str]:
        """Return the settings of a file and of those it includes, which are read behind it."""
        settings, included = self._read(path)
        network = (_networks_named(settings) or list(NETWORKS))[0]
        sections = ("", f"{network.name}.")
        wanted = [name for section, name in included if section in sections]
        for name in wanted[:MAX_INCLUDED]:
            more, _ = self._read(path.parent / _expanded(name))
            settings = more | settings  # the first of equals counts
        return settings

    def _read(self, path: Path) -> tuple[dict[str, str], list[tuple[str, str]]]:
        if _is_hidden(path):
            self.problem = f"{path} cannot be read by user {user_name()}"
        return read_settings(_text_of(path, MAX_CONF_BYTES))


def read_settings(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the settings of a file's text, those of a section as `section.name`, and the files
    that it includes, with their section; the first of equals counts."""
    settings: dict[str, str] = {}
    included: list[tuple[str, str]] = []
    section = ""
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.split("#")[0].partition("="))
        if key.startswith("["):
            section = key.strip("[]") + "."
            continue
        name = section + key
        prefix, _, last = name.rpartition(".")
        if last == "includeconf":
            included.append((f"{prefix}." if prefix else "", value))
        else:
            settings.setdefault(name, value)
    return settings, included


def _networks_named(settings: dict[str, str]) -> list[Network]:
    chain = settings.get("chain")
    return [
        known for known in NETWORKS if known.name == chain or _is_on(settings.get(known.switch))
    ]


def user_name() -> str:
    """Return the name of the user we run as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # as in a container
        return str(os.geteuid())


def _is_on(value: str | None) -> bool:
    """Read a switch as Core does: empty is on, and any other text is the number it begins with."""
    if value is None:
        return False
    number = re.match(r"[+-]?[0-9]+", value)
    return value == "" or (number is not None and int(number[0]) != 0)


def _expanded(text: str) -> Path:
    """Return a path, its ~ replaced where there is such a home."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # behind a folder we may not enter; not a path at all
        return False


def _is_hidden(path: Path) -> bool:
    """Tell whether a file is, or may be, there but is not for us to read."""
    try:
        path.open("rb").close()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _text_of(path: Path, max_bytes: int) -> str:
    """Return the text of a file, empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(max_bytes).decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
