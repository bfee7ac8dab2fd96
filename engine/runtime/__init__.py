"""ONNX only: what a pack holds, how its graphs are run, and the threads that run them."""
