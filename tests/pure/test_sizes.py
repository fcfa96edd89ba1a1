"""Sizes, as people write them."""

import pytest

from pillars.errors import UsageError
from pillars.sizes import shown, size


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (0, 0), (512, 512), ("512", 512), ("512B", 512), ("16MB", 16_000_000), ("1.5 GB", 1_500_000_000), ("64MiB", 2**26),
        ("2GiB", 2**31), ("1kB", 1000), ("1KB", 1000), ("1KiB", 1024), ("1TB", 10**12), (" 1MB ", 10**6), ("1M", 10**6),
    ],
)  # fmt: skip
def test_bytes_or_words(said: int | str, meant: int) -> None:
    assert size(said) == meant


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("much", 'memory: expected bytes or a size such as "512MB", got "much"'),
        ("-1MB", 'memory: expected bytes or a size such as "512MB", got "-1MB"'),
        ("1e9", 'memory: expected bytes or a size such as "512MB", got "1e9"'),
        ("\uff11MB", 'memory: expected bytes or a size such as "512MB", got "\\uff11MB"'),
        (True, 'memory: expected bytes or a size such as "512MB", got bool'),
        (1.5, 'memory: expected bytes or a size such as "512MB", got float'),
        ("1MB", "memory: expected 16 MB to 1130 TB, got 1000000 bytes"),
        (2**60, "memory: expected 16 MB to 1130 TB, got 1152921504606846976 bytes"),
    ],
)
def test_what_is_none_is_told_in_a_line(wrong: int | str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        size(wrong, what="memory", least=16_000_000)
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("bytes_", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (16_000_000, "16 MB"), (1_500_000_000, "1.5 GB"), (10**12, "1 TB"), (1_234_567, "1.23 MB")],
)  # fmt: skip
def test_it_is_shown_in_words(bytes_: int, words: str) -> None:
    assert shown(bytes_) == words
