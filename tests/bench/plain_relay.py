"""A relay that knows nothing, to see what a machine takes by itself: what one port of two hears leaves by the other.

It prints its ports, two for each call, and runs until its standard input ends. Each is known by who speaks to it first.
Sockets are looked at every half a millisecond, as sipflow's are.
"""

import json
import select
import socket
import sys
import time

_LOOK_S = 0.0005


def relay(calls: int) -> None:
    """Relay both ways between so many pairs of ports."""
    sockets = [_udp() for _ in range(2 * calls)]
    poller = select.epoll()
    for sock in sockets:
        poller.register(sock.fileno(), select.EPOLLIN)
    poller.register(sys.stdin.fileno(), select.EPOLLIN)
    sys.stdout.write(json.dumps([sock.getsockname()[1] for sock in sockets]) + "\n")
    sys.stdout.flush()
    ways = {sock.fileno(): (sock, sockets[number ^ 1]) for number, sock in enumerate(sockets)}
    speaks: dict[socket.socket, tuple[str, int]] = {}
    due = time.monotonic()
    while True:
        for file, _ in poller.poll(0):
            if file not in ways:
                return
            near, onward = ways[file]
            data, source = near.recvfrom(2048)
            if near not in speaks:
                speaks[near] = source
            if onward in speaks:
                onward.sendto(data, speaks[onward])
        due = max(due + _LOOK_S, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0))


def _udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


if __name__ == "__main__":
    relay(int(sys.argv[1]))
