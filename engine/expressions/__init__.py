"""The small language in which fields are computed."""
