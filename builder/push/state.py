"""What was put to a target so far: kept beside the site, so that a push goes on where one stopped
and sends only what has changed."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from oracle.durable import replace_text

FOLDER = "pushed"


@dataclass
class State:
    """What lies at a target: the hash of each file that we put there, since when a file is no
    longer wanted, and the hash of the manifest that was put last."""

    files: dict[str, str] = field(default_factory=dict)
    gone_since_unix: dict[str, int] = field(default_factory=dict)
    manifest_sha256: str | None = None


def state_path(site_dir: Path, address: str) -> Path:
    """Return where the state of a target is kept."""
    return site_dir / FOLDER / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"


def load_state(path: Path) -> State:
    """Return what is known of a target; nothing where that cannot be read."""
    with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
        found = json.loads(path.read_bytes())
        files, gone = found["files"], found["gone_since_unix"]
        if _is_map(files, str) and _is_map(gone, int):
            return State(files, gone, found["manifest_sha256"])
    return State()


def _is_map(found: object, kind: type) -> bool:
    return isinstance(found, dict) and all(
        isinstance(key, str) and isinstance(value, kind) for key, value in found.items()
    )


def save_state(path: Path, state: State) -> None:
    """Keep what is known of a target."""
    path.parent.mkdir(exist_ok=True)
    replace_text(path, json.dumps(asdict(state)))
