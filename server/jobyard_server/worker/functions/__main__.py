"""Runs the function of one execution; what it is told comes from the worker."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jobyard_server.worker.functions.cache import usual_folder
from jobyard_server.worker.functions.runner import Source, run


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m jobyard_server.worker.functions", description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:50051", metavar="HOST:PORT", help="where packages come from")
    parser.add_argument("--ca", type=Path, default=None, metavar="FILE", help="certificates to trust")
    parser.add_argument("--cache", type=Path, default=usual_folder(), metavar="FOLDER", help="where packages are kept")
    parser.add_argument("--patience", type=float, default=30.0, metavar="SECONDS", help="longest wait for a package")
    options = parser.parse_args()
    return run(Source(options.server, options.ca, options.patience, options.cache))


if __name__ == "__main__":
    sys.exit(main())
