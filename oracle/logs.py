"""The log: one JSON object a line for machines and the file, readable on a terminal, never a
secret.

A line is exactly `{"timestamp", "level", "component", "message", "context": {...}}`; a traceback is
a text in the context. Standard error gets the log always, LOG_FILE when it is set; standard output
is for answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from oracle.config import Settings
from oracle.lean import putting_off, without
from oracle.masking import LONGEST_TRACEBACK

with without("rich"), putting_off("asyncio"), putting_off("structlog.dev"):
    import structlog
    from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
    from structlog.stdlib import (
        BoundLogger,
        ProcessorFormatter,
        add_log_level,
        add_logger_name,
        filter_by_level,
    )
    from structlog.typing import EventDict, Processor

_FIRST: list[Processor] = [add_logger_name, add_log_level, TimeStamper(fmt="iso", utc=True)]
_ALL: list[Processor] = [filter_by_level, *_FIRST, ProcessorFormatter.wrap_for_formatter]


def get_logger(name: str) -> BoundLogger:
    """Return the log of one component; `name` is the module's `__name__`."""
    return cast("BoundLogger", structlog.wrap_logger(logging.getLogger(name), _ALL, BoundLogger))


log = get_logger(__name__)


@contextmanager
def logging_to(settings: Settings, stream: TextIO | None = None) -> Iterator[None]:
    """Log to a stream (standard error when None) and to LOG_FILE until the block ends."""
    # A full disk costs lines of the log, not the run; logging's own complaint would show their
    # secrets.
    logging.raiseExceptions = False
    logging.basicConfig(
        handlers=[_made(logging.StreamHandler(stream), settings)],
        level=settings.log_level,
        force=True,
    )
    try:
        if settings.log_file:
            _open_file(settings.log_file, settings)
        yield
    finally:
        with suppress(OSError):  # what a full disk did not take
            logging.basicConfig(handlers=[], level=logging.WARNING, force=True)


def log_settings(settings: Settings) -> None:
    """Log which settings were read from where (never their values), and each name that only looks
    like one."""
    log.info(
        "settings read",
        **{line.name: line.origin for line in settings.describe() if line.origin != "default"},
    )
    for warning in settings.warnings:
        log.warning(warning)


def _open_file(path: Path, settings: Settings) -> None:
    from logging.handlers import TimedRotatingFileHandler  # most runs have no file of their own

    try:
        file = TimedRotatingFileHandler(
            path, "midnight", utc=True, backupCount=settings.log_retention_days
        )
        logging.getLogger().addHandler(_made(file, settings))
    except OSError as error:
        log.warning(
            "LOG_FILE cannot be written; the log goes to standard error only", error=str(error)
        )


def _made(handler: logging.StreamHandler[Any], settings: Settings) -> logging.Handler:
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    first: list[Processor] = [ProcessorFormatter.remove_processors_meta, format_exc_info]
    last: list[Processor] = [plain] if _is_terminal(handler.stream) else [_shape, JSONRenderer()]

    def masked(_logger: object, _method: str, event: EventDict) -> EventDict:
        traceback = event.pop("exception", None)
        cleaned: EventDict = settings.clean(event)
        if traceback is not None:
            cleaned["exception"] = settings.redact(str(traceback), LONGEST_TRACEBACK)
        return cleaned

    steps = [*first, masked, *last]
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=_FIRST, processors=steps))
    # Libraries tell every request with its URL; our sources log what matters about it.
    handler.addFilter(
        lambda record: (
            record.name.startswith(("oracle", "builder")) or record.levelno >= logging.WARNING
        )
    )
    return handler


def _is_terminal(stream: TextIO | None) -> bool:
    """Tell a terminal from a file, and from a standard error that is closed."""
    return stream is not None and stream.isatty()


def _shape(_logger: object, _method: str, event: EventDict) -> EventDict:
    time, level, name, message = (
        event.pop(key) for key in ("timestamp", "level", "logger", "event")
    )
    component = name.removeprefix("oracle.")
    return {
        "timestamp": time,
        "level": level.upper(),
        "component": component,
        "message": message,
        "context": event,
    }
