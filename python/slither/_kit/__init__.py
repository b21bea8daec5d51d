"""The thread-safety kit: adapters, tools, and the checker that watches them.

What is public of it is exported by `slither`, on demand: a worker that hosts no adapter imports nothing of this.
"""
