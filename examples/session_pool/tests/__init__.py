"""The tests of the session pool: a folder for each layer, as the layers of the runner are."""
