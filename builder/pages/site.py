"""What pages are made from: the published JSON objects, the assets, the time, the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from builder.api.types import (
    Day,
    DayPrice,
    Days,
    Episodes,
    History,
    Latest,
    Range,
    Scorecard,
    Status,
    Window,
)
from oracle.estimate.limits import Limits

PLACEHOLDER = "https://this-site.example"
"""Stands for the site's address in lines to copy while nobody has said what it is; site.js puts
the address there that the page came from."""


@dataclass(frozen=True)
class Site:
    """Everything that views know.

    Args:
        objects: the published JSON objects by release path, `api/latest.json` and so on.
        assets: URL path of each asset by its logical name.
        now_unix: the moment the build stands for.
        limits: the thresholds that pages show.
        public_url: where readers reach the site, or None when nobody said.
    """

    objects: Mapping[str, Any]
    assets: Mapping[str, str]
    now_unix: int
    limits: Limits
    public_url: str | None = None

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
        return cast(Latest, self.objects["api/latest.json"])

    @property
    def status(self) -> Status:
        """`/api/status.json`."""
        return cast(Status, self.objects["api/status.json"])

    @property
    def episodes(self) -> Episodes:
        """`/api/episodes.json`."""
        return cast(Episodes, self.objects["api/episodes.json"])

    @property
    def scorecard(self) -> Scorecard:
        """`/api/scorecard.json`."""
        return cast(Scorecard, self.objects["api/scorecard.json"])

    @property
    def days_file(self) -> Days:
        """`/api/days.json`."""
        return cast(Days, self.objects["api/days.json"])

    @property
    def days(self) -> list[DayPrice]:
        """Final days, oldest first."""
        return self.days_file["days"]

    @cached_property
    def dates(self) -> frozenset[str]:
        """The dates of the final days."""
        return frozenset(day["date"] for day in self.days)

    @property
    def window(self) -> Window | None:
        """`/api/window.json`, when there is one."""
        return cast(Window | None, self.objects.get("api/window.json"))

    @property
    def limit(self) -> float:
        """The difference in percent beyond which a warning appears."""
        return self.latest["divergence"]["threshold_percent"]

    def history(self, name: Range) -> History:
        """`/api/history/<name>.json`."""
        return cast(History, self.objects[f"api/history/{name}.json"])

    def day(self, date: str) -> Day:
        """`/api/days/<date>.json`."""
        return cast(Day, self.objects[f"api/days/{date}.json"])
