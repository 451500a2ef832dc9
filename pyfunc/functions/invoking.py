"""Asking a served function, with the arguments and the answer that ``requests`` has.

It needs nothing but the standard library. Redirects are not followed; each call is a connection
of its own.
"""

from __future__ import annotations

import http.client
import json as json_module
from collections.abc import Mapping
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from pyfunc.errors import InvalidArgumentError, PyfuncError, shorten

if TYPE_CHECKING:
    import ssl

__all__ = ["Answer", "InvokeError", "invoke"]

_SHOWN = 300  # characters of a body in an error


class InvokeError(PyfuncError):
    """A service does not answer, or its answer says that something is wrong."""


class Answer:
    """What a service answered.

    Attributes:
        url: what was asked.
        status_code: such as 200.
        reason: the words beside it.
        headers: by name, whatever the case of the letters.
        content: the body.
    """

    def __init__(
        self, url: str, status_code: int, reason: str, headers: Message, content: bytes
    ) -> None:
        self.url = url
        self.status_code = status_code
        self.reason = reason
        self.headers = headers
        self.content = content

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status_code < 400

    @property
    def text(self) -> str:
        """The body as text, in the charset that the answer names, else UTF-8."""
        return self.content.decode(self.headers.get_content_charset("utf-8"), "replace")

    def json(self) -> object:
        """Return the value of a JSON body.

        Raises:
            json.JSONDecodeError: the body is no JSON.
        """
        value: object = json_module.loads(self.content)
        return value

    def raise_for_status(self) -> None:
        """Return if the status is below 400.

        Raises:
            InvokeError: it is not; the message has the body.
        """
        if not self.ok:
            raise InvokeError(
                f"{self.url} answered {self.status_code} {self.reason}: {self.text[:_SHOWN]}"
            )

    def __repr__(self) -> str:
        return f"<Answer [{self.status_code}]>"


def invoke(
    url: str,
    method: str = "POST",
    *,
    json: object = None,
    data: bytes | str | Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, object] | None = None,
    timeout: float = 60.0,
    verify: bool | str = True,
) -> Answer:
    """Return the answer of the service at ``url``.

    Args:
        url: with or without ``http://``.
        method: such as ``GET``.
        json: is sent as JSON.
        data: is sent as it is; a mapping as the fields of a form.
        headers: beside those that the body needs.
        params: the query; a list of values gives a name several times.
        timeout: seconds until the connection or a part of the answer must be there.
        verify: whether the certificate of ``https`` has to be one that this machine trusts, or
            the file of those to trust.

    Raises:
        InvalidArgumentError: ``json`` and ``data`` were given, or ``url`` is none of a service.
        InvokeError: nothing answers.
    """
    body, content_type = _body(json, data)
    sent = {"Content-Type": content_type} if content_type else {}
    sent = {**sent, **(headers or {})}
    full = url if "://" in url else f"http://{url}"
    connection, path = _connect(full, timeout, verify)
    if params:
        path += ("&" if "?" in path else "?") + urlencode(params, doseq=True)
    try:
        connection.request(method.upper(), path, body, sent)
        found = connection.getresponse()
        return Answer(full, found.status, found.reason, found.headers, found.read())
    except (OSError, http.client.HTTPException) as error:
        what = str(error) or type(error).__name__
        raise InvokeError(f"no answer from {full}: {what}") from error
    finally:
        connection.close()


def _body(
    json: object, data: bytes | str | Mapping[str, str] | None
) -> tuple[bytes | None, str | None]:
    if json is not None and data is not None:
        raise InvalidArgumentError("a request has one body: give json or data, not both")
    if json is not None:
        return json_module.dumps(json, allow_nan=False).encode("ascii"), "application/json"
    if isinstance(data, Mapping):
        return urlencode(data, doseq=True).encode("ascii"), "application/x-www-form-urlencoded"
    return (data.encode("utf-8") if isinstance(data, str) else data), None


def _connect(
    url: str, timeout: float, verify: bool | str
) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgumentError(f"url: expected one of http or https, got {shorten(url)}")
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout), target
    return http.client.HTTPSConnection(
        parts.hostname, parts.port, timeout=timeout, context=_trust(verify)
    ), target


def _trust(verify: bool | str) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    except OSError as error:  # which ssl.SSLError is, too
        raise InvalidArgumentError(f"verify: {verify}: {error.strerror or error}") from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
