"""Keeps web sites and other people's programs from driving the avatar: only a page with the token may.

A site in the same browser can send requests to a loopback port. Four things stop it: `Host` must be a
loopback name (DNS rebinding), `Origin` must be this page's own, a cookie must carry a token that is random
for each start and stands only in the address that `llia run` prints, and no other page may frame this one.
"""

from __future__ import annotations

import hmac
import secrets

from aiohttp import web

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _POLICY + "'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
VIEWER_HEADERS = {
    **SECURITY_HEADERS,
    # Overlay pages served on this machine may frame the viewer: it shows a picture and takes no clicks.
    "Content-Security-Policy": _POLICY + "'self' http://127.0.0.1:* http://localhost:*",
}


class Guard:
    """Checks requests.

    Attributes:
        token: stands in the printed address; the page keeps it as a cookie that scripts cannot read.
    """

    def __init__(self, port: int) -> None:
        """Makes a fresh token for the server on this port."""
        self.token = secrets.token_urlsafe(16)  # 128 bits; short, so that no terminal breaks it
        self._cookie = f"llia_{port}"  # cookies know no ports: two daemons must not overwrite each other's
        self._hosts = {f"{name}:{port}" for name in LOOPBACK_NAMES}
        self._origins = {f"http://{host}" for host in self._hosts}

    def check_host(self, request: web.Request) -> None:
        """Refuses names that only resolve to this machine.

        Raises:
            web.HTTPForbidden: `Host` is not a loopback name with this server's port.
        """
        if request.headers.get("Host", "") not in self._hosts:
            raise web.HTTPForbidden(text="only http://127.0.0.1 and http://localhost are served\n")

    def check_origin(self, request: web.Request) -> None:
        """Refuses other sites' requests.

        Raises:
            web.HTTPForbidden: `Origin` is missing or not this page's own.
        """
        if request.headers.get("Origin", "") not in self._origins:
            raise web.HTTPForbidden(text="requests of other web sites are refused\n")

    def check_token(self, request: web.Request) -> None:
        """Refuses pages that were not opened with the printed address.

        Raises:
            web.HTTPForbidden: the cookie is missing or of another start.
        """
        if not self.knows(request.cookies.get(self._cookie, "")):
            raise web.HTTPForbidden(text="open the address that `llia run` prints: it carries the token\n")

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes the same time for every wrong one."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    def keep_token(self, response: web.StreamResponse) -> None:
        """Gives the browser the token as a cookie."""
        response.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict", path="/")
