"""What a Bitcoin Core data folder says about its node: RPC address, credentials, blocks."""

from contextlib import suppress
from pathlib import Path

from oracle.sources.networks import NETWORKS


class NodeFolder:
    """A node as its bitcoin.conf describes it, by the defaults where there is none.

    As in Core, the network's section goes before the common part, and a common port is the main
    network's only. Where no network is named, any may have run there.
    """

    def __init__(self, datadir: Path) -> None:
        self._settings = read_settings(datadir / "bitcoin.conf")
        chain = self._settings.get("chain")
        named = [
            known
            for known in NETWORKS
            if known.name == chain or self._settings.get(known.switch, "0") != "0"
        ]
        self._network = (named or NETWORKS)[0]
        self._folders = [network.folder for network in named[:1] or NETWORKS]
        self._root = self._existing("datadir", datadir)

    def rpc_url(self) -> str:
        """Return where the node listens."""
        own_port = self._settings.get(f"{self._network.name}.rpcport")
        port = self._get("rpcport") if self._network.name == "main" else own_port
        return f"http://{self._get('rpcconnect') or '127.0.0.1'}:{port or self._network.rpc_port}"

    def credentials(self) -> tuple[str, str] | None:
        """Return user and password of bitcoin.conf, else of the first cookie file that can be
        read."""
        if password := self._get("rpcpassword"):
            return self._get("rpcuser") or "", password
        cookie = Path(self._get("rpccookiefile") or ".cookie").expanduser()
        for folder in self._folders:
            with suppress(OSError, ValueError):
                user, password = (
                    (self._root / folder / cookie).read_text(encoding="utf-8").strip().split(":", 1)
                )
                return user, password
        return None

    def blocks_folders(self) -> list[Path]:
        """Return where the block files may be."""
        return [
            self._existing("blocksdir", self._root) / folder / "blocks" for folder in self._folders
        ]

    def _get(self, key: str) -> str | None:
        return self._settings.get(f"{self._network.name}.{key}", self._settings.get(key))

    def _existing(self, key: str, otherwise: Path) -> Path:
        """Return the folder bitcoin.conf names, unless it does not exist here (a node in a
        container)."""
        named = Path(self._get(key) or otherwise).expanduser()
        return named if named.is_dir() else otherwise


def read_settings(path: Path) -> dict[str, str]:
    """Return the settings of a file, those of a section as `section.name`; the first of equals
    counts."""
    settings: dict[str, str] = {}
    prefix = ""
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = (part.strip() for part in line.split("#")[0].partition("="))
            if key.startswith("["):
                prefix = key.strip("[]") + "."
            settings.setdefault(prefix + key, value)
    return settings
