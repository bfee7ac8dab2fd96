"""In which precision the networks learn."""

from __future__ import annotations

import torch


def half_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the machine computes it, else float32.

    Processors without AVX-512 emulate it: the audio encoder learned 15 times slower so than in float32.
    """
    native = device.type != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.autocast(device.type, torch.bfloat16, enabled=native)
