"""`python -m bench` is `app bench`."""

from .command import main

main(prog_name=f"python -m {__package__}")
