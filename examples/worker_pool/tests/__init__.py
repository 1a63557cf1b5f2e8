"""The tests of the worker pool: a folder for each layer, and one for what they share."""
