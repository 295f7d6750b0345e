"""Facts told to whoever listens."""
