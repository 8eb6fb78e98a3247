"""`mediation serve` with several workers: each has its share of what comes."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import psutil

CLIENTS = 64


def taken(process: psutil.Process, port: int) -> int:
    """How many connections of clients it has."""
    there = process.net_connections("tcp")
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in there)


def test_every_worker_has_its_share_of_connections_whichever_wakes_first(surroundings):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "mediation", "serve", "--workers", "2", "--port", str(port)]
    with subprocess.Popen(words, env=surroundings) as served, ExitStack() as clients:
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                workers = [one for one in psutil.Process(served.pid).children() if listens(one, port)]
                if len(workers) == 2:
                    break
                time.sleep(0.1)
            for one in workers:
                one.suspend()
            some = [clients.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(CLIENTS)]
            for one in workers:
                one.resume()
                time.sleep(0.5)  # the first alone might take them all
            for client in some:
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(64).startswith(b"HTTP/1.1 200")
            shares = [taken(one, port) for one in workers]
        finally:
            served.send_signal(signal.SIGTERM)
    assert sum(shares) == CLIENTS
    assert min(shares) > CLIENTS // 6  # by chance it is less once in ten million runs


def listens(process: psutil.Process, port: int) -> bool:
    """Whether it waits for connections there."""
    there = process.net_connections("tcp")
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in there)
