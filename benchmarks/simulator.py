"""The simulator as a process: `python -m benchmarks.simulator '{"render_s": 0}'` prints its address and stays."""

from __future__ import annotations

import json
import signal
import sys
import threading

from batcher.simulator import Behaviour, serve


def main() -> None:
    """Serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    serve(Behaviour(**json.loads(sys.argv[1])), ready=lambda url: print(url, flush=True), stop=stop)


main()
