#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every code of a finding in the source has its row in docs/findings.md, with its severity, and
the other way round."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
source, documented = {}, {}
for path in sorted((root / "src").rglob("*.c")):
    text = path.read_text()
    for code, severity in re.findall(r"findings_add\([^,;]+,\s*(\d{4}),\s*FINDING_(\w+)", text):
        source.setdefault(int(code), set()).add(severity.lower())
    # These add findings that block, with the code among their arguments.
    for code in re.findall(r"(?:source_refuse|check_map)\((?:[^;]*?,)?\s*(\d{4}),", text):
        source.setdefault(int(code), set()).add("blocks")
for line in (root / "docs/findings.md").read_text().splitlines():
    if row := re.match(r"\| FERRY-(\d{4}) \| (\w+) \|", line):
        code = int(row[1])
        if code in documented:
            sys.exit(f"FERRY-{code} has two rows")
        documented[code] = {row[2]}

if len(source) < 50:
    sys.exit(f"only {len(source)} codes found in the source: has the call changed its name?")
bad = [f"FERRY-{code}: source {source.get(code)}, docs/findings.md {documented.get(code)}"
       for code in sorted(source.keys() | documented.keys())
       if source.get(code) != documented.get(code)]
if bad:
    sys.exit("\n".join(bad))
