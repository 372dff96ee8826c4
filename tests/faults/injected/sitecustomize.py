"""Loaded by Python before anything else, where this folder is on its path: brings the faults about."""

import json
import os

if asked := os.environ.get("MNISTEXP_FAULTS"):
    import faults

    faults.apply(**json.loads(asked))
