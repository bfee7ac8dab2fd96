"""The avatar engine: audio and a portrait in, timestamped RGBA frames out. Start with `engine/README.md`."""
