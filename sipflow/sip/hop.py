"""Where a message goes to or came from: one transport address, and the socket when it is known."""

from typing import NamedTuple


class Hop(NamedTuple):
    """The far end of one message, and the near end it uses.

    Attributes:
        transport: "udp", "tcp" or "tls", lower case.
        host: IP literal of the far end, without brackets.
        port: 1 to 65535.
        local_host: IP literal of ours that the message uses ("" until the shell has chosen one).
        local_port: port of our listening socket of this transport; where there is none, the one that our connection
            leaves from (0 when that is unknown).
        connection: number of the stream connection it came on; 0 for UDP or "whichever is open".
        server_name: the name a TLS certificate must carry ("" to check the IP literal).
    """

    transport: str
    host: str
    port: int
    local_host: str = ""
    local_port: int = 0
    connection: int = 0
    server_name: str = ""

    @property
    def reliable(self) -> bool:
        """Whether the transport itself retransmits (RFC 3261 §17)."""
        return self.transport != "udp"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"
