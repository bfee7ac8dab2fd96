"""Closes the windows of a screen as a user does: by the message that the close button sends (Xlib)."""

from __future__ import annotations

import ctypes
import ctypes.util

_CLIENT_MESSAGE = 33


class _ClientMessage(ctypes.Structure):
    """XClientMessageEvent, padded to the size of an XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 24),
    )


def _library() -> ctypes.CDLL:
    x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
    for name, result, arguments in (
        ("XOpenDisplay", ctypes.c_void_p, (ctypes.c_char_p,)),
        ("XDefaultRootWindow", ctypes.c_ulong, (ctypes.c_void_p,)),
        ("XInternAtom", ctypes.c_ulong, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)),
        ("XQueryTree", ctypes.c_int, (ctypes.c_void_p, ctypes.c_ulong) + (ctypes.c_void_p,) * 4),
        ("XGetWMProtocols", ctypes.c_int, (ctypes.c_void_p, ctypes.c_ulong) + (ctypes.c_void_p,) * 2),
        ("XSendEvent", ctypes.c_int,
         (ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)),
        ("XFree", ctypes.c_int, (ctypes.c_void_p,)),
        ("XCloseDisplay", ctypes.c_int, (ctypes.c_void_p,)),
    ):  # fmt: skip
        function = getattr(x11, name)
        function.restype, function.argtypes = result, list(arguments)
    return x11


def close_windows(display: str) -> int:
    """Asks every top-level window of a display to close; returns how many there were."""
    x11 = _library()
    link = x11.XOpenDisplay(display.encode())
    assert link, f"no display {display}"
    protocols = x11.XInternAtom(link, b"WM_PROTOCOLS", 0)
    delete_window = x11.XInternAtom(link, b"WM_DELETE_WINDOW", 0)
    closed = 0
    for window in _children(x11, link, x11.XDefaultRootWindow(link)):
        if delete_window not in _protocols(x11, link, window):
            continue
        message = _ClientMessage(
            type=_CLIENT_MESSAGE, send_event=1, window=window, message_type=protocols, format=32,
            data=(ctypes.c_long * 5)(delete_window, 0, 0, 0, 0),
        )  # fmt: skip
        closed += x11.XSendEvent(link, window, 0, 0, ctypes.byref(message))
    x11.XCloseDisplay(link)
    return closed


def _children(x11: ctypes.CDLL, link: int, parent: int) -> list[int]:
    root, above, count = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_uint()
    found = ctypes.POINTER(ctypes.c_ulong)()
    places = [ctypes.byref(place) for place in (root, above, found, count)]
    if not x11.XQueryTree(link, parent, *places) or not found:
        return []
    windows = found[: count.value]
    x11.XFree(found)
    return windows


def _protocols(x11: ctypes.CDLL, link: int, window: int) -> list[int]:
    found, count = ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_int()
    if not x11.XGetWMProtocols(link, window, ctypes.byref(found), ctypes.byref(count)) or not found:
        return []
    atoms = found[: count.value]
    x11.XFree(found)
    return atoms
