"""The past of a record: stretches of the chain that it lacks, read and priced as ticks would have,
a chunk at a time, and merged into it while the timer goes on."""
