"""What surrounds a run: doctor, schedule, notify, verify."""
