"""From trained checkpoints to a shipped pack: ONNX graphs, INT8, parity figures (torch needed)."""
