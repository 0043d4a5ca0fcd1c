"""Errors of data that are not to be survived."""


class InvalidAnnotation(ValueError):
    """An annotation is wrong and the user has asked for a stop: no data set skips the sample."""
