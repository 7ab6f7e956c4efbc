"""Arguments in, exit codes out: the only room that prints."""
