"""Holds each answer of the API against its own OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import httpx
from jsonschema import Draft202012Validator

API = "/api/v1"


class Contract:
    """
    What the document promises. `check` is an httpx response hook that fails for a status or a body that is not promised.

    `seen` collects which operations answered with which status.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.seen: set[tuple[str, int]] = set()
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path, methods) for path, methods in document["paths"].items()
        ]

    @property
    def operations(self) -> set[str]:
        """Every operation as `GET /path`."""
        return {f"{method.upper()} {path}" for _, path, methods in self._paths for method in methods}

    async def check(self, response: httpx.Response) -> None:
        """Fail when the answer is not what the document says."""
        request = response.request
        path = request.url.path.removeprefix(API)
        operation = self._find(request.method.lower(), path)
        if response.status_code >= 400:
            await response.aread()
            self._validate(response, {"$ref": "#/components/schemas/ProblemAnswer"})
        if operation is None:
            assert response.status_code in {401, 403, 404, 405}, f"{request.method} {path} is not in the document"
            return
        name, spec = operation
        self.seen.add((name, response.status_code))
        promised = spec["responses"].get(str(response.status_code))
        assert promised is not None, f"{name} answered {response.status_code}, which its document does not know"
        content = promised.get("content", {})
        kind = response.headers.get("content-type", "").partition(";")[0]
        if response.status_code == 204:
            assert not content
            return
        assert kind in content, f"{name} answered {kind}"
        if kind == "application/json":
            await response.aread()
            self._validate(response, content[kind]["schema"])

    def _find(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        for pattern, template, methods in self._paths:
            if pattern.fullmatch(path) and method in methods:
                return f"{method.upper()} {template}", methods[method]
        return None

    def _validate(self, response: httpx.Response, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": self.document["components"]}
        problems: Iterable[Any] = Draft202012Validator(whole).iter_errors(response.json())
        found = [f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems]
        assert [] == found, f"{response.request.method} {response.request.url}: {found}"
