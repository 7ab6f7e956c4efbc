"""The bound: a bare pool of threads that POST the same bodies and do nothing else, or one POST after the other."""

from __future__ import annotations

import argparse
import csv
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests


def main() -> None:
    """`python -m benchmarks.bare URL SHEET THREADS BODY`: the body with `{id}` and `{name}` in it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("sheet", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("body")
    told = parser.parse_args()
    body = json.loads(told.body)
    local = threading.local()

    def send(row: dict[str, str]) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.headers["X-Api-Key"] = "bench"
        filled = {name: _fill(value, row) for name, value in body.items()}
        answer = local.session.post(told.url, json=filled, timeout=120)
        answer.raise_for_status()
        answer.json()

    with told.sheet.open(encoding="utf-8", newline="") as file, ThreadPoolExecutor(told.threads) as pool:
        for _ in pool.map(send, csv.DictReader(file)):
            pass


def _fill(value: object, row: dict[str, str]) -> object:
    if not isinstance(value, str):
        return value
    return value.replace("{{ id }}", row["id"]).replace("{{ name }}", row["name"]).replace("{{ link }}", row["link"])


main()
