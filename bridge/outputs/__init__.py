"""Where frames and sound leave: sockets, page, camera, file."""
