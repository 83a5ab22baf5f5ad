"""A failure in the shape in which it is recorded and published."""

from __future__ import annotations

from typing import Any

from oracle.config import Settings
from oracle.errors import OracleError, SourceError


def error_object(
    error: OracleError, settings: Settings, *, still_serves: bool = False
) -> dict[str, Any]:
    """Return an error in the published shape, without secrets.

    `record_still_serves` among its details: the record is fresh, so the run does not count as
    failing.
    """
    details: dict[str, object] = {}
    if isinstance(error, SourceError):
        details |= {"source": error.source, "attempts": error.attempts}
    if still_serves:
        details["record_still_serves"] = True
    shape = {
        "code": error.code,
        "message": error.public_message,
        "retry_after": 60 * settings.analysis_interval_minutes,
        "details": details,
    }
    return dict(settings.clean(shape))
