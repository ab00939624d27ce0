#!/usr/bin/env python3
"""Checks Ecowire's vectors and receipts without a line of its Rust code.

    ecowire_verify.py vectors FOLDER             check every vector; exit 1 when one fails
    ecowire_verify.py make FOLDER                write the vectors that Python makes (python_*.json)
    ecowire_verify.py receipt FILE --trust FILE  check a receipt offline
"""

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

from ecowire import entries, make, trust, vectors, wire


def run_vectors(folder):
    passed, failures = vectors.check_folder(folder)
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


def run_receipt(path, trust_path):
    try:
        statement = trust.parse(Path(trust_path).read_text())
        proved = entries.verify_receipt(Path(path).read_bytes(), trust.log_key(statement))
    except vectors.ERRORS as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    at = datetime.fromtimestamp(proved["at_ms"] / 1000, timezone.utc).isoformat(timespec="milliseconds")
    kind = wire.ENUMS["EntryKind"][proved["kind"]].removeprefix("ENTRY_KIND_")
    print(f"{kind} at index {proved['index']} of {statement['log_origin']}, {at.replace('+00:00', 'Z')}")
    print(f"under the checkpoint of size {proved['size']}, root {proved['root'].hex()}")
    for (tag, sub), value in sorted(proved["slots"].items()):
        shown = value.hex() if len(value) <= 32 else f"{value[:32].hex()}... ({len(value)} bytes)"
        print(f"  slot {tag}.{sub} {shown or '(empty)'}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("vectors", "make"):
        commands.add_parser(name).add_argument("folder")
    receipt = commands.add_parser("receipt")
    receipt.add_argument("file")
    receipt.add_argument("--trust", required=True)
    arguments = parser.parse_args()
    if arguments.command == "vectors":
        return run_vectors(arguments.folder)
    if arguments.command == "make":
        for name, count in make.write(Path(arguments.folder)):
            print(f"{name}: {count}")
        return 0
    return run_receipt(arguments.file, arguments.trust)


if __name__ == "__main__":
    sys.exit(main())
