"""The benchmarks: every workload beside a bare asyncpg program, on the same fresh server, in the same run."""
