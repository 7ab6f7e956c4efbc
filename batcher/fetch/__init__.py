"""Finished files: fetched from links that strangers wrote, into a folder that stays the user's own."""
