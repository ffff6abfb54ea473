"""Every Python example of README.md and docs/python.md runs, in one namespace per page, in an empty folder."""

import contextlib
import os
import re
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_page(page):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.S | re.M)
    names = {"__name__": "example"}
    for i, block in enumerate(blocks):
        exec(compile(block, f"{page}, example {i + 1}", "exec"), names)
    return len(blocks)


class Docs(unittest.TestCase):
    def test_the_examples_run(self):
        ran, before = 0, os.getcwd()
        for page in ["README.md", "docs/python.md"]:
            with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
                os.chdir(folder)
                try:
                    with contextlib.redirect_stdout(nowhere):
                        ran += run_page(page)
                finally:
                    os.chdir(before)
        print(f"{ran} examples")
        self.assertGreaterEqual(ran, 5)


if __name__ == "__main__":
    unittest.main()
