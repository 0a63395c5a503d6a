"""Logs: one JSON object a line on standard error. Nothing secret is ever given to them."""

from __future__ import annotations

import logging
import sys
from typing import Any, Protocol

import structlog

from lapse.bootstrap.log_lines import LogLines


class Logger(Protocol):
    """What the server's parts log with: an event and its facts."""

    def debug(self, event: str, **facts: Any) -> Any:
        """For finding out what happens."""
        ...

    def info(self, event: str, **facts: Any) -> Any:
        """Something happened as it should."""
        ...

    def warning(self, event: str, **facts: Any) -> Any:
        """Something did not work, and is tried again."""
        ...

    def error(self, event: str, **facts: Any) -> Any:
        """Something is wrong that nobody expected."""
        ...


def set_up_logs(level: str) -> Logger:
    """The logger, for `level` (debug, info, warning, error) and above; libraries report warnings through it."""
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    logger = structlog.wrap_logger(
        # A line and its end in one write: gateways of one host share a stream.
        structlog.WriteLogger(LogLines(sys.stderr)),  # type: ignore[arg-type]  # it is only written to
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(number),
    )
    logging.basicConfig(handlers=[_Forwarding(logger)], level=max(number, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)
    return logger  # type: ignore[no-any-return]


class _Forwarding(logging.Handler):
    """What libraries log, in the same format."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        say = self._logger.error if record.levelno >= logging.ERROR else self._logger.warning
        say(record.getMessage(), logger=record.name, exc_info=record.exc_info)
