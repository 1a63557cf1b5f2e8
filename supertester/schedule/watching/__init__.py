"""The state of the user's own code, read off its lines while they run."""
