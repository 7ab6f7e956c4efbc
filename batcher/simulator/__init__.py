"""
A local HeyGen: it answers over real HTTP as HeyGen documents, makes tiny videos, and counts what it was asked for.

It shares no knowledge with the rest of batcher: what it accepts comes from HeyGen's own description of the API
(`heygen-v3.openapi.json`, as the official command-line client carries it), made strict. Nothing leaves this machine.

Failures can be rehearsed by what the request holds:

| in the request | what happens |
|---|---|
| `[fail]` anywhere in a script, prompt, text variable, or title of a translation or lipsync | the render fails: `rendering_failed` |
| `[policy]` in such a text | 400 `content_policy_violation`, nothing is made |
| `[credit]` in such a text | the render fails later: `MOVIO_PAYMENT_INSUFFICIENT_CREDIT` |
| `[slow]` in such a text | rendering takes twenty times as long |
| `[stuck]` in such a text | rendering never ends, and holds its slot |
| `[daily limit]` in a text for useapi.net | "Daily voice duration limit reached, ..." |
| a link with a host under `.invalid`, or a path containing `missing` | the work fails: "Failed to download video from url, ..." |
| a template, voice, avatar or asset that does not exist | 404 `template_not_found`, `voice_not_found`, ... |
| a language that does not exist | 400 `invalid_parameter`, param `output_languages` |

Faults of the network and of the API itself are switched on by name: see `batcher.simulator.behaviour.HOSTILE`.
"""

from batcher.simulator.behaviour import HOSTILE, Behaviour
from batcher.simulator.running import Running, serve, start

__all__ = ["HOSTILE", "Behaviour", "Running", "serve", "start"]
