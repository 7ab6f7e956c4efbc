"""
Many machines on the same jobs: workers that take slices of work from a queue beside the ledger.

The ledger alone knows what is to be done; the queue only wakes those who do it, and is made again from the ledger when
it is lost.
"""
