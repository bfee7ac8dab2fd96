"""The page: `guard` refuses, `viewer` shows, `controller` and `panel` take commands, `uploads` take files."""
