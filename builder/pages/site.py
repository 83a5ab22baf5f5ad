"""What pages are made from: the published JSON objects, the assets, the time, the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.draft import Objects
from oracle.estimate.limits import Limits

if TYPE_CHECKING:
    from builder.api.types import DayPrice, Latest

PLACEHOLDER = "https://this-site.example"
"""Stands for the site's address in lines to copy while nobody has said what it is; site.js puts
the address there that the page came from."""


def test_network_of(latest: Latest) -> str | None:
    """Return simulated, the name of a test network, or None on the main chain."""
    if latest["is_demo"]:
        return "simulated"
    network = latest["network"]
    if network == "main":
        return None
    return "unknown network" if network == "unknown" else network


@dataclass(frozen=True, eq=False)  # one is like itself alone: views of it can be kept
class Site:
    """Everything that views know.

    Args:
        objects: the published JSON objects.
        assets: URL path of each asset by its logical name.
        now_unix: the moment the build stands for.
        limits: the thresholds that pages show.
        public_url: where readers reach the site, or None when nobody said.
        public_key: the key by which readers check the signature, where there is one.
        licence: under which the numbers are given to others, where the publisher says so.
    """

    objects: Objects
    assets: Mapping[str, str]
    now_unix: int
    limits: Limits
    public_url: str | None = None
    public_key: str | None = None
    licence: str | None = None

    @property
    def base(self) -> str:
        """The site's address without a slash at the end; empty, so that links are relative, when
        nobody said."""
        return (self.public_url or "").rstrip("/")

    @property
    def origin(self) -> str:
        """The site's address in lines to copy."""
        return self.base or PLACEHOLDER

    @property
    def latest(self) -> Latest:
        """`/api/latest.json`."""
        return self.objects.latest

    @property
    def test_network(self) -> str | None:
        """What to call a chain whose bitcoins are worth nothing; None on the main one."""
        return test_network_of(self.latest)

    @property
    def days(self) -> list[DayPrice]:
        """Final days, oldest first."""
        return self.objects.days["days"]

    @cached_property
    def dates(self) -> frozenset[str]:
        """The dates of the final days."""
        return frozenset(day["date"] for day in self.days)

    @property
    def limit(self) -> float:
        """The difference in percent beyond which a warning appears."""
        return self.latest["divergence"]["threshold_percent"]
