"""Other runtimes for jobs, measured beside ours: each a program with an environment of its own."""
