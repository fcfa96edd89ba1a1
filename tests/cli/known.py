"""Every command of `app`, and its options."""

from collections.abc import Iterator

import click

from pillars.cli import main


def commands(group: click.Group, path: str = "app") -> Iterator[tuple[str, click.Command]]:
    """Every command by its path, groups too."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


COMMANDS = dict(commands(main))


def options(command: click.Command) -> set[str]:
    return {
        name
        for one in command.params
        if isinstance(one, click.Option) and not one.hidden
        for name in one.opts
    }
