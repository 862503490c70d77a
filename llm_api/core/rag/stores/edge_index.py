"""A program that builds the search index of a collection's folder that nobody else has open.

The engine's Python binding holds the interpreter while it computes, which takes a minute for
100,000 chunks: so this is a separate process, of low priority.
"""

import os
import sys

from qdrant_edge import EdgeShard

_POLITENESS = 10


def main(folder: str) -> None:
    os.nice(_POLITENESS)
    shard = EdgeShard.load(folder)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main(sys.argv[1])
