"""What a command that works on writes to its log: JSON lines that hold nothing personal."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

_FIELDS = ("request_id", "method", "route", "status", "ms", "frames")


class JsonLines(logging.Formatter):
    """A log line as one JSON object; of the record's own fields only those known to hold nothing personal."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0]:
            said["fault"] = record.exc_info[0].__name__  # its words may hold a row's values
        return msgspec.json.encode(said).decode()


def log_config(level: str) -> dict[str, Any]:
    """Everything to standard error, a JSON object a line; requests are logged at `info`."""
    shown = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "mediation": {"level": shown},
            "uvicorn": {"level": "INFO" if shown in {"DEBUG", "INFO"} else shown},
        },
    }
