"""The log: one JSON object a line for machines and the file, readable on a terminal, never a secret.

A line is exactly `{"timestamp", "level", "component", "message", "context": {...}}`; a traceback is a text in
the context. Standard error gets the log always, LOG_FILE when it is set; standard output is for answers.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import TextIO, cast

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from oracle.config import Settings

OURS = ("oracle", "builder")
_FIRST: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_ALL: list[Processor] = [structlog.stdlib.filter_by_level, *_FIRST, ProcessorFormatter.wrap_for_formatter]


def get_logger(name: str) -> BoundLogger:
    """Return the log of one component; `name` is the module's `__name__`."""
    logger = structlog.wrap_logger(logging.getLogger(name), processors=_ALL, wrapper_class=BoundLogger)
    return cast("BoundLogger", logger)


log = get_logger(__name__)


@contextmanager
def logging_to(settings: Settings, stream: TextIO | None = None) -> Iterator[None]:
    """Log to a stream (standard error when None) and to LOG_FILE until the block ends."""
    stream = stream or sys.stderr
    root, before = logging.getLogger(), logging.getLogger().level
    handlers = [_attach(logging.StreamHandler(stream), settings, is_for_people=stream.isatty())]
    root.setLevel(settings.log_level)
    try:
        if settings.log_file:
            handlers += _attach_file(settings.log_file, settings)
        yield
    finally:
        root.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            with suppress(OSError):  # what a full disk did not take
                handler.close()


def log_settings(settings: Settings) -> None:
    """Log which settings were read from where (names only), and each name that only looks like one."""
    lines = settings.describe()
    origins = {line.origin for line in lines} - {"default"}
    log.info("settings read", **{origin: [x.name for x in lines if x.origin == origin] for origin in origins})
    for warning in settings.warnings:
        log.warning(warning)


def _attach(handler: logging.Handler, settings: Settings, *, is_for_people: bool) -> logging.Handler:
    handler.setFormatter(_formatter(settings, is_for_people=is_for_people))
    # Libraries tell every request with its URL; our sources log what matters about it.
    handler.addFilter(lambda record: record.name.startswith(OURS) or record.levelno >= logging.WARNING)
    logging.getLogger().addHandler(handler)
    return handler


def _attach_file(path: Path, settings: Settings) -> list[logging.Handler]:
    try:
        handler = _open_file(path, settings.log_retention_days)
    except OSError as error:
        log.warning("LOG_FILE cannot be written; the log goes to standard error only", error=str(error))
        return []
    return [_attach(handler, settings, is_for_people=False)]


def _open_file(path: Path, days: int) -> logging.Handler:
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a file")  # to rotate it would be to rename a device
    path.parent.mkdir(parents=True, exist_ok=True)
    return _LogFile(path, when="midnight", utc=True, backupCount=days, encoding="utf-8")


class _LogFile(TimedRotatingFileHandler):
    """A log file that gives up with one sentence, where logging would print a traceback for each line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's signature
        logging.getLogger().removeHandler(self)
        log.warning("LOG_FILE cannot be written any more", error=str(sys.exc_info()[1]))


def _formatter(settings: Settings, *, is_for_people: bool) -> logging.Formatter:
    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        cleaned: EventDict = settings.clean(event)
        return cleaned

    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    last: list[Processor] = [plain] if is_for_people else [_shape, structlog.processors.JSONRenderer()]
    first: list[Processor] = [ProcessorFormatter.remove_processors_meta, structlog.processors.format_exc_info]
    return ProcessorFormatter(foreign_pre_chain=_FIRST, processors=[*first, redact, *last])


def _shape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {
        "timestamp": event.pop("timestamp"),
        "level": event.pop("level").upper(),
        "component": event.pop("logger").removeprefix("oracle."),
        "message": event.pop("event"),
        "context": event,
    }
