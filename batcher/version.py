"""The one place of the version number, light enough to import for `batcher --version`."""

VERSION = "0.1.0"
