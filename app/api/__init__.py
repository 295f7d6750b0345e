"""The HTTP API: `/api/v1`."""

from app.api.app import build_api

__all__ = ["build_api"]
