"""What can go wrong."""


class InputError(Exception):
    """An image that cannot be used; its message is one sentence."""
