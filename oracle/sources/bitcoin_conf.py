"""What a Bitcoin Core data folder says about its node: network, RPC address, credentials, cookie, blocks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from oracle.sources.networks import BY_NAME, NETWORKS

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

    def credentials(self) -> tuple[str, str] | None:
        """Return user and password of bitcoin.conf, else of the first cookie file that can be read."""
        if self.password:
            return self.user or "", self.password
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
    common = sections[""]
    network = _network(common)
    own = sections[network or "main"]
    # As in Core: the network's section goes first, and a common port is the main network's only.
    settings = common | own
    port = (settings if network in {None, "main"} else own).get("rpcport")
    host = settings.get("rpcconnect") or "127.0.0.1"
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    names = [BY_NAME[network].folder] if network else [known.folder for known in NETWORKS]
    root = _existing(settings.get("datadir"), datadir)
    blocks = _existing(settings.get("blocksdir"), root)
    cookie = Path(settings.get("rpccookiefile") or ".cookie").expanduser()
    return NodeFolder(
        network=network,
        rpc_url=f"http://{host}:{port or BY_NAME[network or 'main'].rpc_port}",
        user=settings.get("rpcuser"),
        password=settings.get("rpcpassword"),
        cookie_files=tuple(root / name / cookie for name in names),
        blocks_folders=tuple(blocks / name / "blocks" for name in names),
    )


def _network(common: dict[str, str]) -> str | None:
    if common.get("chain") in BY_NAME:
        return common["chain"]
    return next((name for key, name in SWITCHES.items() if common.get(key, "0") != "0"), None)


def _existing(folder: str | None, otherwise: Path) -> Path:
    """Return the folder bitcoin.conf names, unless it does not exist here (a node in a container)."""
    named = Path(folder).expanduser() if folder else otherwise
    return named if named.is_dir() else otherwise


def _read_sections(path: Path) -> defaultdict[str, dict[str, str]]:
    """Return the settings by section, "" being the part above all sections; the first of equals counts."""
    sections: defaultdict[str, dict[str, str]] = defaultdict(dict)
    section = ""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return sections
    for line in (raw.split("#")[0].strip() for raw in lines):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif "=" in line:
            key, _, value = line.partition("=")
            prefix, _, name = key.strip().rpartition(".")
            sections[prefix or section].setdefault(name, value.strip())
    return sections
