"""The documentation site.

python -m website                      (make site)      build it into site/: strictly, every link and anchor followed
python -m website gallery BUNDLE...    (make gallery)   write docs/gallery.md and its pictures from exported bundles
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from website.links import broken, read
from website.mathematics import with_mathml
from website.pages import ROOT, stage


def build(out: Path) -> None:
    """Build the site into `out`, which is replaced; end with exit code 1 and the reasons where anything is amiss."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name).resolve()
        stage(work / "docs")
        for extra in ("zensical.toml", "style.css"):
            shutil.copyfile(ROOT / "website" / extra, work / extra if extra.endswith("toml") else work / "docs" / extra)
        done = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--strict"],
            cwd=work, env=os.environ | {"NO_COLOR": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            told = re.sub(r"\x1b\[[0-9;]*m", "", f"{done.stdout}\n{done.stderr}")
            sys.exit(told.partition("Traceback")[0].strip())
        for page in (work / "site").rglob("*.html"):
            page.write_text(with_mathml(page.read_text(encoding="utf-8")), encoding="utf-8")
        if amiss := broken(read(work / "site")):
            sys.exit("\n".join(amiss))
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(work / "site", out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["gallery"]:
        from website.gallery import write

        write([Path(each) for each in sys.argv[2:]], ROOT / "docs")
    else:
        build(ROOT / "site")
        print("site/index.html")
