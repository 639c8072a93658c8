"""Samples/s with the number of threads that `data.workers: auto` chooses, against fixed numbers.

    python benchmarks/loader_choice.py [--folder DIR] [--rounds 5]

The fields are those of fields_io.py. Each round reads some epochs with 1, 2 and 4 threads in turn;
the choice is made anew in each round and judged by the median of the number it took most often.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from fields_io import BATCH, CASES, SEED, open_case

from hpctrain.data import BatchLoader, FieldDataset, GlobalSampler
from hpctrain.data.reading import choose_reading
from hpctrain.data.sampler import stream

COUNTS = (1, 2, 4)


def samples_per_s(
    dataset: FieldDataset, sampler: GlobalSampler, workers: int, epochs: int
) -> float:
    """Speed over some epochs."""
    begin = time.perf_counter()
    with BatchLoader(dataset, stream(sampler, 0, 1, epochs=epochs), workers) as loader:
        count = sum(len(batch.ids) for batch in loader)
    return count / (time.perf_counter() - begin)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fields_io")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores; samples/s by number of threads")
    print("data  " + "".join(f"{n:>9}" for n in COUNTS) + "   chosen  took s   chosen / best")
    for case in CASES:
        dataset = open_case(options.folder / case.name, case)
        sampler = GlobalSampler(len(dataset), BATCH, SEED)
        rates: dict[int, list[float]] = {n: [] for n in COUNTS}
        chosen: Counter[int] = Counter()
        took = []
        for _ in range(options.rounds):
            begin = time.perf_counter()
            ids = itertools.chain.from_iterable(sampler.order(e) for e in itertools.count())
            chosen[choose_reading(dataset, ids, cores, BATCH, None, None).workers] += 1
            took.append(time.perf_counter() - begin)
            for n in COUNTS:
                rates[n].append(samples_per_s(dataset, sampler, n, case.repeats))
        medians = {n: statistics.median(values) for n, values in rates.items()}
        most = chosen.most_common(1)[0][0]
        ratio = medians.get(most, 0.0) / max(medians.values())
        row = "".join(f"{medians[n]:9.0f}" for n in COUNTS)
        print(f"{case.name:6}{row} {most:8} {max(took):7.2f} {ratio:15.2f}")


if __name__ == "__main__":
    main()
