"""Keeps foreign web sites from driving the avatar: only this page, opened on this machine, may.

A site in the same browser can send requests to a loopback port. Three things stop it: `Host` must be a
loopback name (DNS rebinding), `Origin` must be this page's own, and a token that only this page can read
must come with everything that has an effect.
"""

from __future__ import annotations

import hmac
import secrets

from aiohttp import web

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """Checks requests.

    Attributes:
        token: what the page gets from `/session` and sends with everything else.
    """

    def __init__(self, port: int) -> None:
        """Makes a fresh token for the server on this port."""
        self.token = secrets.token_urlsafe(32)
        self._hosts = {f"{name}:{port}" for name in LOOPBACK_NAMES}
        self._origins = {f"http://{host}" for host in self._hosts}

    def check_host(self, request: web.Request) -> None:
        """Refuses names that only resolve to this machine.

        Raises:
            web.HTTPForbidden: `Host` is not a loopback name with this server's port.
        """
        if request.headers.get("Host", "") not in self._hosts:
            raise web.HTTPForbidden(text="only http://127.0.0.1 and http://localhost are served\n")

    def check_driver(self, request: web.Request, token: str) -> None:
        """Refuses everything but this page.

        Raises:
            web.HTTPForbidden: `Origin` is missing or another site's, or the token is wrong.
        """
        if request.headers.get("Origin", "") not in self._origins:
            raise web.HTTPForbidden(text="requests of other web sites are refused\n")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise web.HTTPForbidden(text="the token is out of date: load the page again\n")
