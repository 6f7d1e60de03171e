# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors as the API server words them: Status objects, and the texts that are none."""

from __future__ import annotations

from .resources import Resource

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class ApiError(Exception):
    """An answer other than success. body: a Status object, or text."""

    def __init__(self, code: int, body, headers: dict | None = None):
        super().__init__(body["message"] if isinstance(body, dict) else body.strip())
        self.code, self.body, self.headers = code, body, headers or {}

    def status(self) -> dict:
        """For an ERROR event."""
        return self.body if isinstance(self.body, dict) else failure(self.code, str(self), None)


def failure(code: int, message: str, reason: str | None, details: dict | None = None, metadata: dict | None = None) -> dict:
    made = {"kind": "Status", "apiVersion": "v1", "metadata": metadata or {}, "status": "Failure", "message": message}
    if reason:
        made["reason"] = reason
    if details is not None:
        made["details"] = details
    made["code"] = code
    return made


def error(code: int, reason: str | None, message: str, details: dict | None = None, headers: dict | None = None) -> ApiError:
    return ApiError(code, failure(code, message, reason, details), headers)


def success(resource: Resource, name: str, uid: str) -> dict:
    details = {"name": name}
    if resource.group:
        details["group"] = resource.group
    details.update(kind=resource.plural, uid=uid)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def details_of(resource: Resource, name: str | None = None, kind: str | None = None) -> dict:
    made = {"name": name} if name else {}
    if resource.group:
        made["group"] = resource.group
    made["kind"] = kind or resource.plural
    return made


def not_found(resource: Resource, name: str) -> ApiError:
    return error(404, "NotFound", f'{resource.qualified} "{name}" not found', details_of(resource, name))


def page_not_found() -> ApiError:
    return ApiError(404, "404 page not found\n", {"X-Content-Type-Options": "nosniff"})


def no_such_resource() -> ApiError:
    return error(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str) -> ApiError:
    return error(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', details_of(resource, name))


def conflict(resource: Resource, name: str, why: str | None = None, kind: bool = False) -> ApiError:
    """kind: DELETE names the kind where others name the plural."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    what = resource.qualified_kind if kind else resource.qualified
    return error(409, "Conflict", f'Operation cannot be fulfilled on {what} "{name}": {why}',
                 details_of(resource, name, resource.kind if kind else None))


def bad_request(message: str) -> ApiError:
    return error(400, "BadRequest", message)


def bad_media_type(accepted: str) -> ApiError:
    return error(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media "
                 f"types include: {accepted}")


def invalid(what: str, details: dict, causes: list[tuple[str, str, str]]) -> ApiError:
    """causes: (reason, field, message); 422 with all of them."""
    texts = [f"{field}: {message}" for _, field, message in causes]
    message = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    listed = [{"reason": reason, "message": text, "field": field} for reason, field, text in causes]
    return error(422, "Invalid", f"{what} is invalid: {message}", {**details, "causes": listed})


def invalid_object(resource: Resource, name: str, causes) -> ApiError:
    return invalid(f'{resource.qualified_kind} "{name}"', details_of(resource, name, resource.kind), causes)


def invalid_options(kind: str, causes) -> ApiError:
    return invalid(f'{kind}.meta.k8s.io ""', {"group": "meta.k8s.io", "kind": kind}, causes)


def gone(message: str) -> ApiError:
    return error(410, "Expired", message)


def too_new(asked: int, current: int) -> ApiError:
    return error(504, "Timeout", f"Timeout: Too large resource version: {asked}, current: {current}",
                 {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                  "retryAfterSeconds": 1}, {"Retry-After": "1"})


def too_many_requests(seconds: int = 1) -> ApiError:
    """As the server says it before it looks at the request."""
    return ApiError(429, "Too many requests, please try again later.\n",
                    {"Retry-After": str(seconds), "X-Content-Type-Options": "nosniff", "Connection": "close"})


REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
           429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
PHRASES = {100: "Continue", 200: "OK", 201: "Created", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 409: "Conflict", 410: "Gone",
           413: "Request Entity Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Entity",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}
