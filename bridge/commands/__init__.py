"""One file per subcommand of `llia`: `add_parser` describes it, `run` carries it out."""
