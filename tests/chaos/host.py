"""What keeps a network of its own: `unshare --net python host.py SOCKET COUNT`, until the other end of the socket is closed.

It lets loopback work there, and sends so many listening sockets of it back.
"""

import fcntl
import socket
import struct
import sys

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP: netdevice(7)
REQUEST = "16sh22x"  # struct ifreq


def raise_loopback() -> None:
    """A new network has one, which is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, GET_FLAGS, struct.pack(REQUEST, b"lo", 0))
        _, flags = struct.unpack(REQUEST, asked)
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack(REQUEST, b"lo", flags | UP))


def main(descriptor: int, count: int) -> None:
    raise_loopback()
    with socket.socket(fileno=descriptor) as parent:
        ends = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        socket.send_fds(parent, [b"up"], [end.fileno() for end in ends])
        parent.recv(1)  # nothing comes: it ends


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
