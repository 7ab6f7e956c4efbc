"""The durable memory: tasks, attempts, submissions, accounts; moves, admission and identity live here."""
