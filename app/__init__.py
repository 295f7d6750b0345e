"""The composition root: command line, HTTP API, web front, desktop, wiring."""
