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
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from oracle.config import Settings

_FIRST: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_OURS: list[Processor] = [
    structlog.stdlib.filter_by_level,
    *_FIRST,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
# They log each request with its URL at INFO; our sources log what matters about it.
_NOISY = ("httpx", "httpcore")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the log of one component; `name` is the module's `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), processors=_OURS, wrapper_class=structlog.stdlib.BoundLogger
    )
    return logger


log = get_logger(__name__)


@contextmanager
def logging_to(settings: Settings, stream: TextIO | None = None) -> Iterator[None]:
    """Log to a stream (standard error when None) and to LOG_FILE until the block ends."""
    stream = stream or sys.stderr
    console = logging.StreamHandler(stream)
    console.setFormatter(_formatter(settings, _for_people() if stream.isatty() else _for_machines()))
    handlers: list[logging.Handler] = [console]
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in ("root", *_NOISY)}
    root.setLevel(settings.log_level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    root.addHandler(console)
    try:
        handlers += _file_handlers(settings)
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            with suppress(OSError):  # what a full disk did not take
                handler.close()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def log_settings(settings: Settings) -> None:
    """Log which settings were read from where (names only), and each name that only looks like one."""
    lines = settings.describe()
    origins = {line.origin for line in lines} - {"default"}
    log.info("settings read", **{origin: [x.name for x in lines if x.origin == origin] for origin in origins})
    for warning in settings.warnings:
        log.warning(warning)


def _file_handlers(settings: Settings) -> list[logging.Handler]:
    path = settings.log_file
    if path is None:
        return []
    try:
        handler = _open_file(path, settings.log_retention_days)
    except OSError as error:
        log.warning("LOG_FILE cannot be written; the log goes to standard error only", error=str(error))
        return []
    handler.setFormatter(_formatter(settings, _for_machines()))
    logging.getLogger().addHandler(handler)
    return [handler]


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


def _formatter(settings: Settings, last: list[Processor]) -> logging.Formatter:
    processors: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redactor(settings),
        *last,
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_FIRST, processors=processors)


def _for_people() -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _for_machines() -> list[Processor]:
    return [_shape, structlog.processors.JSONRenderer()]


def _shape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {
        "timestamp": event.pop("timestamp"),
        "level": event.pop("level").upper(),
        "component": event.pop("logger").removeprefix("oracle."),
        "message": event.pop("event"),
        "context": event,
    }


def _redactor(settings: Settings) -> Processor:
    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        cleaned: EventDict = settings.clean(event)
        return cleaned

    return redact
