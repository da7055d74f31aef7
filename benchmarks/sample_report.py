"""A finished comparison as it stands in the documentation: its page, and what that links to.

    python analyze.py runs=<sweep> name=<name>
    python benchmarks/sample_report.py outputs/analysis/<name> docs/sample_report

Run folders are not published: links that lead out of the comparison's folder become their text.
"""

import argparse
import re
import shutil
from pathlib import Path

from lossprint.files import whole_file

OUTWARD = re.compile(r'<a href="\.\./[^"]*">(.*?)</a>', re.DOTALL)
INWARD = re.compile(r'<a href="((?:figures|tables)/[^"]+)">')


def publish(comparison: Path, output: Path) -> int:
    """Replace `output` by the published comparison; returns how many bytes it takes.

    Raises:
        FileNotFoundError: the folder holds no comparison, or lacks a file that its page links to.
    """
    page = OUTWARD.sub(r"\1", (comparison / "report.html").read_text(encoding="utf-8"))
    files = [comparison / name for name in sorted(set(INWARD.findall(page)))]
    for file in files:
        file.stat()  # before anything is removed
    shutil.rmtree(output, ignore_errors=True)
    for file in files:
        copy = output / file.relative_to(comparison)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
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
