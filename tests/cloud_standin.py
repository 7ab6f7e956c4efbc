"""A store of objects on loopback that speaks as Amazon S3 does, and what the tests ask of it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY_ID, SECRET = "store-key", "store-secret-7f3a9c51"
"""The credentials of the store: the secret may stand nowhere."""


def store_environment(url: str) -> dict[str, str]:
    """What makes the tools of S3 find a store, and nothing else of this machine."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """
    A bucket of a running store, looked at from outside as another program would.

    Attributes:
        url: Where the store is.
    """

    url: str
    name: str
    client: Any

    def __str__(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, data: bytes | str) -> None:
        """Write an object, whoever was there."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data.encode() if isinstance(data, str) else data)

    def get(self, key: str) -> bytes:
        """What an object holds."""
        found: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return found

    def remove(self, key: str) -> None:
        """Take an object away."""
        self.client.delete_object(Bucket=self.name, Key=key)

    def marks(self, prefix: str = "") -> Mapping[str, str]:
        """All objects, by their keys, with what changes when they are written."""
        told = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return {each["Key"]: f"{each['ETag']} {each['LastModified']}" for each in told.get("Contents", ())}


@dataclass(frozen=True, kw_only=True, slots=True)
class S3:
    """A running store."""

    url: str
    client: Any

    def bucket(self, name: str) -> Bucket:
        """A new bucket."""
        self.client.create_bucket(Bucket=name)
        return Bucket(url=self.url, name=name, client=self.client)


@contextlib.contextmanager
def s3() -> Iterator[S3]:
    """Run a store for as long as the block lasts."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        yield S3(url=url, client=client)
        client.close()
    finally:
        server.stop()


class _OnlyToBeRead(BaseHTTPRequestHandler):
    """Every bucket is there and empty, and nobody may write."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(404 if "/" in self.path.strip("/") else 200)

    def do_GET(self) -> None:
        self._answer(200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def only_to_be_read() -> Iterator[str]:
    """The address of a store that refuses every writing."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OnlyToBeRead)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
