"""Running workflows: plan, execute, journal, retry, resume."""
