"""How far results spread over seeds: lessons at `quick`, each with three seeds.

    python -m benchmarks.seeds [LESSON ...]

Executes the pages with another SEED, in outputs/benchmarks/seed-N/. Can be stopped, and goes on
when it is run again. Prints a table in Markdown, and writes the best distances to
outputs/pretrained/seeds.json, beside which the lessons set what a reader's change has made.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from datetime import date
from pathlib import Path

from tools import pages
from utils import evaluation, options

SEEDS = (1, 2, 3)
LESSONS = ("01_gan", "02_dcgan", "04_lsgan", "05_wgan_gp", "06_cgan")


def execute(page: pages.Page, folder: Path, **environment: str) -> None:
    """Run a page at `quick`, on real data, in a folder."""
    env = os.environ | {"OUTPUT_DIR": str(folder), "PRESET": "quick", "STANDIN": "never"}
    page.client().execute(env=env | environment)


def score_every_round(page: pages.Page) -> None:
    """Have a page score every round, as those do that do not say how often."""
    source = "\n".join(cell.source for cell in page.code)
    for found in re.findall(r'score_every(?:=|": )\d+', source):
        page.change(found, re.sub(r"\d+", "1", found))


def metrics_of(lesson: str, seed: int) -> dict:
    """Run a lesson with a seed and return its metrics.json."""
    folder = options.output_dir() / "benchmarks" / f"seed-{seed}"
    page = pages.Page(lesson)
    page.set(SEED=seed)
    score_every_round(page)
    execute(page, folder)
    return json.loads((folder / lesson / "quick" / "metrics.json").read_text(encoding="utf-8"))


def main(lessons: list[str]) -> None:
    """Run all, print a row a lesson."""
    rows = []
    for lesson in lessons or LESSONS:
        found = [metrics_of(lesson, seed) for seed in SEEDS]
        cells = [lesson]
        for name in "best", "final", "last":
            multiples = [round(m["scores"][name]["times floor"], 2) for m in found]
            if name == "best":
                known = json.loads(evaluation.SEEDS_FILE.read_text(encoding="utf-8"))
                facts = {"date": date.today().isoformat(), "precision": found[0]["precision"]}
                known[lesson] = facts | {"quick": {name: multiples}}
                text = json.dumps(known, indent=1) + "\n"
                evaluation.SEEDS_FILE.write_text(text, encoding="utf-8")
            spread = f"{statistics.mean(multiples):.1f} ± {statistics.stdev(multiples):.1f}"
            cells.append(f"{spread} ({', '.join(f'{x:.1f}' for x in multiples)})")
        cells.append(f"{min(m['scores']['final']['smallest share'] for m in found):.3f}")
        cells.append(f"{statistics.median(m['seconds'] for m in found):.0f}")
        rows.append(cells)
        print(lesson, cells, flush=True)
    print("\n| lesson | best, × floor | final | last weights | smallest share | seconds |")
    print("|---|---|---|---|---|---|")
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
