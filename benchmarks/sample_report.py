"""A finished comparison as it stands in the documentation: its page, and what that links to.

    python analyze.py runs=<sweep> name=<name>
    python benchmarks/sample_report.py outputs/analysis/<name> docs/sample_report

Run folders are not published, nor the table that says where they lie, nor figures of megabytes:
links to them become their text.
"""

import argparse
import re
import shutil
from pathlib import Path

from lossprint.files import whole_file

LINK = re.compile(r'<a href="((?:\.\.|figures|tables)/[^"]*)">(.*?)</a>', re.DOTALL)
PRIVATE = "tables/runs.csv"
LARGEST = 1_000_000  # bytes


def publish(comparison: Path, output: Path) -> int:
    """Replace `output` by the published comparison; returns how many bytes it takes.

    Raises:
        FileNotFoundError: the folder holds no comparison, or lacks a file that its page links to.
    """
    page = (comparison / "report.html").read_text(encoding="utf-8")
    inside = {name for name, _ in LINK.findall(page) if not name.startswith("..")} - {PRIVATE}
    sizes = {name: (comparison / name).stat().st_size for name in inside}
    kept = {name for name, size in sizes.items() if size <= LARGEST}
    page = LINK.sub(lambda link: link[0] if link[1] in kept else link[2], page)
    shutil.rmtree(output, ignore_errors=True)
    for name in sorted(kept):
        copy = output / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(comparison / name, copy)
    with whole_file(output / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return sum(file.stat().st_size for file in output.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("comparison", type=Path, help="its folder, outputs/analysis/<name>")
    parser.add_argument("output", type=Path, help="is replaced")
    arguments = parser.parse_args()
    try:
        size = publish(arguments.comparison, arguments.output)
    except FileNotFoundError as error:
        parser.error(f"{error.filename} is not there: compare first, python analyze.py")
    print(f"{arguments.output}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
