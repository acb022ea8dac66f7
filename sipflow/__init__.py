"""sipflow: an AI voice agent on any phone number you already own."""

__version__ = "0.1.0"
