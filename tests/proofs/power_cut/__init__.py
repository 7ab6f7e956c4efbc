"""A power cut: a file system in user space that forgets what was not synced."""

import signal

CUT = signal.SIGUSR1
"""The signal at which the power goes."""

CUT_MARK = "/.cuts"
"""A file as many bytes long as there were cuts."""
