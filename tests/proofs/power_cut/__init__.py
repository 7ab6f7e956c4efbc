"""A power cut: a file system in user space that forgets what was not synced."""

import signal

CUT = signal.SIGUSR1
"""The signal at which the power goes."""

FAIL = signal.SIGUSR2
"""The signal from which on nothing can be written, and at which that is over."""

CUT_MARK = "/.cuts"
"""A file as many bytes long as there were such signals."""
