"""The page: what a browser may ask (`guard`), its live connection (`viewer`), files it sends (`uploads`)."""
