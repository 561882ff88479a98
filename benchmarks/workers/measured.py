"""Run a command and print what it and its children took: python measured.py COMMAND...

A program counts the memory of the one that started it as its own peak, up to the moment at which it is loaded. This one
is small, so that little is counted.
"""

import json
import os
import sys
import time

QUIET = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]

began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=QUIET)
_, status, usage = os.wait4(pid, 0)
took = {"cpu": usage.ru_utime + usage.ru_stime, "wall": time.perf_counter() - began}
print(json.dumps({**took, "peak_mib": usage.ru_maxrss / 1024}))
sys.exit(os.waitstatus_to_exitcode(status) != 0)
