#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every code that the source finds is in the catalog, each entry of the catalog is found somewhere, and
docs/findings.md is what the catalog says."""
import json
import pathlib
import re
import subprocess
import sys

root, ferry = pathlib.Path(sys.argv[1]), sys.argv[2]
found = set()
for path in sorted((root / "src").rglob("*.c")):
    text = path.read_text()
    found |= set(re.findall(r"findings_add\([^,;]+,\s*(\d{4}),", text))
    # These add findings with the code among their arguments.
    found |= set(re.findall(r"(?:source_refuse|check_map)\((?:[^;]*?,)?\s*(\d{4}),", text))
explained = subprocess.run([ferry, "--json", "explain"], check=True, stdout=subprocess.PIPE).stdout
codes = [json.loads(line)["code"][6:] for line in explained.splitlines()]

if len(found) < 50:
    sys.exit(f"only {len(found)} codes found in the source: has the call changed its name?")
if codes != sorted(set(codes)):
    sys.exit("the catalog is not in order, or has a code twice")
if found != set(codes):
    sys.exit(f"in the source only: {sorted(found - set(codes))}; in the catalog only: {sorted(set(codes) - found)}")
subprocess.run([root / "docs/make-findings", ferry, "--check"], check=True)
