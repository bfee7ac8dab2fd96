"""Everything that touches the outside: sockets, devices, page, commands. Start with `bridge/README.md`."""
