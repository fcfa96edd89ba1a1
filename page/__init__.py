"""The web page of this app. Only `app web` imports it, so a worker loads no web library."""
