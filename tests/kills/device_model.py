#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tests/system/device_model_goes_on.py at length: 1,000 times SIGKILL for the device model under verified load, none
lost.
"""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / place) for place in ("testbed", "tests/system")]
# pylint: disable=wrong-import-position
from cases import cases_of, main
from device_model_goes_on import CASES, killed

if __name__ == "__main__":
    cases_of(CASES, lambda name: killed(name, -(-1000 // len(CASES)), timeout=3600))
    main()
