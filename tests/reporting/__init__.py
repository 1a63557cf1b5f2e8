"""Reports: what is in them, and whether a browser can show it."""
