import os
import signal
import subprocess
import sys
import threading

import pytest

from vae_pipeline.system.locking import free, held

HOLD = """
import sys, time
from pathlib import Path
from vae_pipeline.system.locking import held
with held(Path(sys.argv[1]), "trains this run", print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("suspended", [False, True])
def test_whoever_waits_is_told_who_holds_the_lock_and_how_to_go_on(suspended, tmp_path, monkeypatch):
    monkeypatch.setattr("vae_pipeline.system.locking.SAY_AFTER_S", 0.05)
    lock = tmp_path / "running" / "k.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        if suspended:
            holder.send_signal(signal.SIGSTOP)
            os.waitpid(holder.pid, os.WUNTRACED)
        with free(lock) as nobody_holds_it:
            assert not nobody_holds_it
        said, told, entered = [], threading.Event(), threading.Event()

        def wait():
            with held(lock, "trains this run", lambda text: (said.append(text), told.set())):
                entered.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert told.wait(10) and not entered.is_set()
        holder.kill()
        assert entered.wait(10)
        waiting.join()
    (text,) = said
    assert text.startswith(f"waiting for process {holder.pid}, which trains this run since 20")
    assert (f"`kill -CONT {holder.pid}` lets it go on" in text) == suspended
    with free(lock) as nobody_holds_it:
        assert nobody_holds_it
