"""`python -m pillars` is `app`."""

from pillars.cli import main

main()
