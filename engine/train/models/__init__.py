"""The networks of a pack, as torch modules; their exported graphs are listed in `engine/README.md`."""
