"""Python's own pools over the same batches: told what to run by a line, answers with the seconds it took."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool

from echo import echo


def main() -> None:
    """Serves lines of `imap N`, `executor N` and `end`."""
    workers, items = int(sys.argv[1]), int(sys.argv[2])
    batch = list(range(items))
    with Pool(workers) as pool, ProcessPoolExecutor(workers) as executor:
        for line in sys.stdin:
            which, count = line.split()
            if which == "end":
                break
            batches = [batch] * int(count)
            begun = time.perf_counter()
            results = pool.imap(echo, batches, chunksize=1) if which == "imap" else executor.map(echo, batches)
            done = sum(len(result) for result in results)
            took = time.perf_counter() - begun
            assert done == items * len(batches)
            sys.stdout.write(f"{took}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
