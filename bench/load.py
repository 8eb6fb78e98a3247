"""Sixteen clients of the API in a process of their own: `load.py JOB`, a JSON object; its answer is another."""

import asyncio
import json
import sys
import time
from uuid import uuid4

import uvloop

BODY = b'{"action":"note","kind":"fact"}'


class Client:
    """One connection that keeps alive, with as little between the socket and the clock as Python allows."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request, read its status and body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        start = lowered.index(b"content-length:") + 15
        length = int(lowered[start : lowered.index(b"\r\n", start)])
        return int(head[9:12]), await self._reader.readexactly(length)


async def _client(job: dict, case: dict, until: float, took: list[float]) -> int:
    """Steps or reads on one case until the time is over; how many were refused."""
    client = Client(*await asyncio.open_connection(job["host"], job["port"]))
    common = f"Host: {job['host']}\r\nAuthorization: Bearer {job['token']}\r\n"
    read = f"GET /v1/cases/{case['id']} HTTP/1.1\r\n{common}\r\n".encode()
    step = (
        f"POST /v1/cases/{case['id']}/events HTTP/1.1\r\n{common}Content-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n"
    )
    version, refused = case["version"], 0
    while (began := time.perf_counter()) < until:
        if job["kind"] == "reads":
            status, _ = await client.ask(read)
        else:
            head = f'{step}If-Match: "{version}"\r\nIdempotency-Key: {uuid4().hex}\r\n\r\n'
            status, _ = await client.ask(head.encode() + BODY)
            version += 1
        took.append(time.perf_counter() - began)
        refused += status not in {200, 201}
    case["version"] = version
    return refused


async def _run(job: dict) -> dict:
    took: list[float] = []
    began = time.perf_counter()
    until = began + job["seconds"]
    refused = await asyncio.gather(*(_client(job, case, until, took) for case in job["cases"]))
    lasted = time.perf_counter() - began
    took.sort()
    return {
        "rate": len(took) / lasted,
        "count": len(took),
        "refused": sum(refused),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "cases": job["cases"],
    }


if __name__ == "__main__":
    json.dump(uvloop.run(_run(json.loads(sys.argv[1]))), sys.stdout)
