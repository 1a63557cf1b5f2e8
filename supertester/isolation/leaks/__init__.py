"""What a test leaves behind, found by kind; each kind has a module that finds it and says how it is ended."""
