"""An app that takes 120 MB by itself."""

BALLAST = bytearray(b"x" * 120_000_000)
