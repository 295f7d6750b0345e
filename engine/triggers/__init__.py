"""What starts runs: inbox, webhooks, schedules."""
