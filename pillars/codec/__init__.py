"""Type-driven JSON: a function's arguments, one value by its type, and text that Postgres can store."""

from pillars.codec.payloads import (
    MAX_PAYLOAD,
    WARN_PAYLOAD,
    PayloadCodec,
    ValueCodec,
    large,
)
from pillars.codec.plain import clean_text, from_json, to_json

__all__ = [
    "MAX_PAYLOAD",
    "WARN_PAYLOAD",
    "PayloadCodec",
    "ValueCodec",
    "clean_text",
    "from_json",
    "large",
    "to_json",
]
