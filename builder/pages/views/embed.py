"""The page that other sites may show in a frame: the three numbers and the last seven days."""

from __future__ import annotations

from typing import NamedTuple

from builder.pages.site import Site
from builder.pages.views import boxes
from builder.pages.views.dashboard import dashboard_view
from builder.pages.views.frame import Frame, frame_of
from builder.pages.views.parts import Figure

PATH = "/embed/"
DESCRIPTION = "The Bitcoin price read from the blocks, to be shown on other sites."
RELOAD_SECONDS = 600  # who shows it may keep it open for days
TITLE = "On-chain Bitcoin price, for other sites"


class EmbedView(NamedTuple):
    """All that the page says; as the dashboard says it."""

    frame: Frame
    due_unix: int
    is_old: bool
    as_of: str
    price: boxes.PriceBox
    exchange: boxes.ExchangeBox | None
    difference: boxes.DifferenceBox | None
    figure: Figure | None
    reload_seconds: int = RELOAD_SECONDS


def embed_view(site: Site) -> EmbedView:
    """Return the view of the page."""
    shown = dashboard_view(site)
    return EmbedView(
        frame=frame_of(site, title=TITLE, description=DESCRIPTION, section="/", path=PATH),
        due_unix=shown.due_unix,
        is_old=shown.is_old,
        as_of=shown.as_of,
        price=shown.price,
        exchange=shown.exchange,
        difference=shown.difference,
        figure=shown.record.figure if shown.record else None,
    )
