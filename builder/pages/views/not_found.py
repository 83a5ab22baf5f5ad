"""What stands at an address without a page."""

from __future__ import annotations

from typing import NamedTuple

from builder.pages.site import Site
from builder.pages.views.frame import Frame, frame_of

TITLE = "No such page · On-chain Bitcoin price"
DESCRIPTION = "There is no such page."


class NotFoundView(NamedTuple):
    """All that the page says."""

    frame: Frame


def not_found_view(site: Site) -> NotFoundView:
    """Return the view of the page for unknown addresses."""
    return NotFoundView(frame_of(site, title=TITLE, description=DESCRIPTION, section="/404.html"))
