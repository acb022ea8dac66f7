"""Arithmetic on numbers that wrap: 16-bit sequence numbers, 32-bit timestamps (RFC 3550 §5.1)."""


def sequence_delta(later: int, earlier: int) -> int:
    """Say how many packets `later` is after `earlier`: -32768 to 32767, negative when it is older."""
    return ((later - earlier + 0x8000) & 0xFFFF) - 0x8000


def timestamp_delta(later: int, earlier: int) -> int:
    """Say how many ticks `later` is after `earlier`: -2**31 to 2**31 - 1, negative when it is older."""
    return ((later - earlier + 0x80000000) & 0xFFFFFFFF) - 0x80000000
