"""Machines that try to break the promise "each row done once, paid once, accounted for", and one judge of them all."""
