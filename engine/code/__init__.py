"""
The cage: a warm pool of processes in which people's own Python runs.

`pool` hands out processes, `process` speaks with one of them, `frames` is the language they speak, `packages` builds what a
workflow declares, `inside` is the part that runs in the caged process itself. ADR 0009 says what is promised where.
"""
