"""How quick batcher is beside a bound or a rival, measured in the same run on the same machine."""
