"""Options of ``pyfunc serve``: who may ask and how much, and how it stands behind a proxy."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "AccessLog",
    "AllowedHost",
    "AuthTokenFile",
    "Certfile",
    "CorsOrigin",
    "ForwardedAllowIps",
    "KeepAlive",
    "Keyfile",
    "MaxCells",
    "MaxExpandedBytes",
    "MaxNames",
    "MaxRows",
    "RootPath",
]

AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Host that requests may name; else those of this machine. * for any; repeatable.",
    ),
]
CorsOrigin = Annotated[
    list[str] | None,
    typer.Option(metavar="ORIGIN", help="Origin whose web pages may ask; * for all; repeatable."),
]
AuthTokenFile = Annotated[
    str | None, typer.Option(help="File of tokens; requests need one as their bearer.")
]
Certfile = Annotated[str | None, typer.Option(help="Certificate (PEM); the server speaks TLS.")]
Keyfile = Annotated[str | None, typer.Option(help="Its key, if it is in a file of its own.")]
RootPath = Annotated[str, typer.Option(help="Path under which a proxy shows the server.")]
KeepAlive = Annotated[
    float, typer.Option(metavar="SECONDS", help="Until an idle connection is closed.")
]
ForwardedAllowIps = Annotated[
    str | None,
    typer.Option(
        envvar="FORWARDED_ALLOW_IPS",
        help="Proxies whose X-Forwarded headers are believed, with commas; * for all.",
    ),
]
AccessLog = Annotated[
    bool,
    typer.Option("--access-log", help="Write a line of JSON per request to standard output."),
]
MaxCells = Annotated[int, typer.Option(min=1, help="Values of one request.")]
MaxNames = Annotated[int, typer.Option(min=1, help="Different columns of one request.")]
MaxRows = Annotated[int, typer.Option(min=1, help="Rows of one request.")]
MaxExpandedBytes = Annotated[
    int, typer.Option(min=1, help="What a request may take once its values are written out.")
]
