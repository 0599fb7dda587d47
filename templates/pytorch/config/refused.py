"""What a person can correct."""


class Refused(Exception):
    """The message is a sentence for the person who started us: what is wrong, where, and what would be right."""


class Diverged(Refused):
    """The loss is no number any more: these values lead nowhere."""
