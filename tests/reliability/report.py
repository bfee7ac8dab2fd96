"""What a measurement says at its end: a table for people, then one line of JSON; faults make it fail."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any


def bounded(kind: type[float] | type[int], low: float, high: float) -> Any:
    """An argparse type: a number within bounds, so that every measurement ends by itself."""

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not within {low:g} to {high:g}")
        return value

    return parse


def quantile(values: list[float], share: float) -> float:
    """The value that this share of the values do not exceed; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def median_p95_max(values: list[float]) -> list[float]:
    """The three figures that tell of a delay, to a tenth."""
    return [round(quantile(values, share), 1) for share in (0.5, 0.95, 1.0)]


def tell(result: dict[str, Any], faults: list[str]) -> int:
    """Prints the figures and what was wrong; returns the exit code."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    result = {**result, "machine": f"{os.cpu_count()} cores, load {load}", "faults": faults}
    width = max(map(len, result))
    for name, value in result.items():
        print(f"{name:<{width}}  {value if value != [] else 'none'}")
    print(json.dumps(result))
    return int(bool(faults))
