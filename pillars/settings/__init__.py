"""What a process was told: flags, environment, `.env`, pyproject.toml, defaults."""

from pillars.settings.convert import masked_url
from pillars.settings.dotenv import read_dotenv
from pillars.settings.loading import load
from pillars.settings.values import QueueSlots, Settings

__all__ = ["QueueSlots", "Settings", "load", "masked_url", "read_dotenv"]
