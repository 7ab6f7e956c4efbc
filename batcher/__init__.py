"""A spreadsheet in, videos out: each row done once, paid once, and accounted for."""
