"""What a Bitcoin Core data folder says about its node: network, RPC address, credentials, cookie, blocks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RPC_PORTS = {"main": 8332, "test": 18332, "testnet4": 48332, "signet": 38332, "regtest": 18443}
NETWORK_FOLDERS = {
    "main": "",
    "test": "testnet3",
    "testnet4": "testnet4",
    "signet": "signet",
    "regtest": "regtest",
}
SWITCHES = {"testnet": "test", "testnet4": "testnet4", "signet": "signet", "regtest": "regtest"}


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """A node as its data folder describes it; `network` is None where bitcoin.conf does not name one."""

    network: str | None
    rpc_url: str
    user: str | None
    password: str | None
    cookie_files: tuple[Path, ...]
    blocks_folders: tuple[Path, ...]

    def read_cookie(self) -> tuple[str, str] | None:
        """Return user and password of the first cookie file that can be read."""
        for path in self.cookie_files:
            try:
                user, colon, password = path.read_text(encoding="utf-8").strip().partition(":")
            except (OSError, UnicodeDecodeError):
                continue
            if colon:
                return user, password
        return None


def read_node_folder(datadir: Path) -> NodeFolder:
    """Return what `datadir` and its bitcoin.conf say; a folder without one is a node with the defaults."""
    sections = _read_sections(datadir / "bitcoin.conf")
    common = sections.get("", {})
    network = _network(common)
    own = sections.get(network or "main", {})
    # As in Core: the network's section goes first, and a common rpcport counts for the main network only.
    port = own.get("rpcport") or (common.get("rpcport") if network in {None, "main"} else None)
    settings = common | own
    host = settings.get("rpcconnect") or "127.0.0.1"
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    root = _existing(settings.get("datadir"), datadir)
    roots = _network_folders(root, network)
    cookie = Path(settings.get("rpccookiefile") or ".cookie").expanduser()
    blocks = _network_folders(_existing(settings.get("blocksdir"), root), network)
    return NodeFolder(
        network=network,
        rpc_url=f"http://{host}:{port or RPC_PORTS[network or 'main']}",
        user=settings.get("rpcuser"),
        password=settings.get("rpcpassword"),
        cookie_files=tuple(folder / cookie for folder in roots),
        blocks_folders=tuple(folder / "blocks" for folder in blocks),
    )


def _network(common: dict[str, str]) -> str | None:
    if common.get("chain") in RPC_PORTS:
        return common["chain"]
    switched_on = (name for key, name in SWITCHES.items() if common.get(key, "0") != "0")
    return next(switched_on, None)


def _network_folders(root: Path, network: str | None) -> tuple[Path, ...]:
    """Return where the network's files may be; without a known network, every place, the main one first."""
    names = [NETWORK_FOLDERS[network]] if network else list(NETWORK_FOLDERS.values())
    return tuple(root / name for name in names)


def _existing(folder: str | None, otherwise: Path) -> Path:
    """Return the folder bitcoin.conf names, unless it does not exist here (a node in a container)."""
    named = Path(folder).expanduser() if folder else otherwise
    return named if named.is_dir() else otherwise


def _read_sections(path: Path) -> dict[str, dict[str, str]]:
    """Return the settings by section, "" being the part above all sections; the first of equals counts."""
    sections: dict[str, dict[str, str]] = {}
    section = ""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return sections
    for line in (raw.split("#")[0].strip() for raw in lines):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif "=" in line:
            key, _, value = (part.strip() for part in line.partition("="))
            prefix, dot, name = key.rpartition(".")
            target = sections.setdefault(prefix if dot else section, {})
            target.setdefault((name if dot else key).removeprefix("-"), value)
    return sections
