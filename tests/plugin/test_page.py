"""The examples of docs/howto/testing.md, as they stand there, in a project of their own."""

import re
from pathlib import Path

import pytest

from plugin.shop import Shop

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "testing.md").read_text("utf-8")
BLOCK = re.compile(
    r"^```(?:python|toml|sql|yaml)\n(?:#|--) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def files() -> dict[str, str]:
    """The page's examples by the file that each names."""
    return dict(BLOCK.findall(PAGE))


def test_every_example_names_its_file() -> None:
    assert len(files()) == len(re.findall(r"^```(?:python|toml|sql|yaml)$", PAGE, re.MULTILINE))


@pytest.mark.slow
def test_the_examples_pass_as_they_stand(shop: Shop) -> None:
    for name, text in files().items():
        path = shop.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    result = shop.run("-W", "error")
    result.assert_outcomes(passed=11)


def test_the_message_is_the_one_that_is_printed(shop: Shop) -> None:
    [message] = re.findall(r"^```\n(AssertionError: .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    shop.write(
        tests__test_it="""
        from jobs.mail import send_receipt

        def test_it(sync_jobs):
            send_receipt.configure(run_in="1d").enqueue_now(42, to="ada@example.com")
            sync_jobs.assert_enqueued(send_receipt, to="eve@example.com")
        """
    )
    said = [line.removeprefix("E").strip() for line in shop.run().outlines]
    assert [line.strip() for line in message.splitlines() if line.strip() not in said] == []
