"""What a service could not tell itself, as it was killed, crashed or never began: told from
outside, by what systemd says of its end."""

from __future__ import annotations

from typing import NamedTuple

from oracle.config import SIMULATED, Settings
from oracle.notify import Event, deliver
from oracle.told import told_of

BUILD = "oracle-build"
BEGAN_BELOW = 126  # shells and systemd say so, and more, where a program could not be begun
# The results that systemd knows (systemd.exec), in words; `{status}` is the signal or the code.
WORDS = {
    "exit-code": "ended with code {status}",
    "signal": "was killed (signal {status})",
    "core-dump": "crashed (signal {status})",
    "oom-kill": "was ended because memory ran short (MemoryMax= of its unit, or the machine's)",
    "timeout": "was ended because it took longer than it may (TimeoutStartSec= of its unit)",
    "resources": "could not begin: the machine lacks what it needs",
    "start-limit-hit": "began too often in too short a time, and is held back",
}
ADVICE = "journalctl -u {service} says more"


class Ending(NamedTuple):
    """How a service ended, in systemd's words; empty where it does not say."""

    service: str
    result: str = ""
    status: str = ""

    @property
    def told_itself(self) -> bool:
        """Whether the program was there to tell people what failed.

        A build tells each failure that it ends with a code for; a backfill meets the sources that
        builds tell of; nobody but systemd sees how a backup ends.
        """
        has_code = self.result == "exit-code" and self.status.isdecimal()
        if not has_code or int(self.status) >= BEGAN_BELOW:
            return False
        return self.service == BUILD or (self.service == "oracle-backfill" and self.status == "1")

    @property
    def sentence(self) -> str:
        """Return what people are told."""
        how = WORDS.get(self.result, "failed").format(status=self.status)
        return f"{self.service} {how}; {ADVICE.format(service=self.service)}"


def tell(ending: Ending, settings: Settings, now_unix: int) -> list[str] | None:
    """Tell people of an ending, by every way that is set.

    That builds are killed is told once, and the next good build says that it is over.

    Args:
        ending: of which service, and how.
        settings: name the ways.
        now_unix: the time of the message.

    Returns:
        None where there was nothing to tell; else what did not take the message.
    """
    if ending.told_itself:
        return None
    code = f"SERVICE_{ending.result or 'failed'}".upper().replace("-", "_")
    if ending.service == BUILD and not told_of(settings).begins(code, now_unix):
        return None
    network = SIMULATED if settings.is_simulated else settings.oracle_network or "unknown"
    return deliver([Event("failure", ending.sentence, now_unix, network)], settings)
