"""The HTTP API: `/api/v1`. Nothing is loaded here, so that the command line can show things as the API does without it."""
