#!/usr/bin/env python3
"""Writes every fixture of fixtures.txt and what the reference makes of it.

  make_fixtures.py FOLDER

For each FAMILY and TYPE: FOLDER/FAMILY-TYPE.gguf, and FOLDER/FAMILY-TYPE.json with "tokens",
"max_tokens" (how far the request may go on), "places" (positions whose logits follow) and "logits", or
"embedding". Where the folder holds what these scripts write already, nothing is done. Ends with 77
(skipped) where numpy is missing.
"""
import hashlib
import json
import multiprocessing
import os
import pathlib
import sys

# A process for each processor computes fixtures; their matrix products need no more threads.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

try:
    import numpy as np
except ImportError:
    print("numpy is missing: install python3-numpy", file=sys.stderr)
    sys.exit(77)

import reference  # noqa: E402
from families import FAMILIES  # noqa: E402
from make_fixture import write_fixture  # noqa: E402

SCRIPTS = pathlib.Path(__file__).resolve().parent
TOKEN_COUNT = 300  # crosses the attention's chunk of 256 positions and every window
PLACES = [0, 31, 255, 256, 299]
MAX_TOKENS = 16


def fixture_list():
    for line in (SCRIPTS / "fixtures.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            family, _float, _per_32, _per_256, *types = line.split()
            yield from ((family, type_name) for type_name in types)


def digest_of_scripts():
    sources = sorted([*SCRIPTS.glob("*.py"), SCRIPTS / "fixtures.txt"])
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def make(folder, family, type_name):
    model_path = folder / f"{family}-{type_name}.gguf"
    write_fixture(family, type_name, model_path)
    random = np.random.default_rng(5)
    tokens = random.integers(0, FAMILIES[family].shape.vocabulary, TOKEN_COUNT).tolist()
    found = reference.result(reference.Model(model_path), tokens, PLACES, MAX_TOKENS)
    model_path.with_suffix(".json").write_text(
        json.dumps({"tokens": tokens, "max_tokens": MAX_TOKENS, "places": PLACES, **found}))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    stamp, digest = folder / "scripts.sha256", digest_of_scripts()
    if stamp.exists() and stamp.read_text() == digest:
        return
    stamp.unlink(missing_ok=True)
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        pool.starmap(make, [(folder, *fixture) for fixture in fixture_list()], chunksize=1)
    stamp.write_text(digest)


if __name__ == "__main__":
    main()
