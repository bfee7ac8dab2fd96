"""Training of the models (torch); `docs/training.md` tells how to do it all again."""
