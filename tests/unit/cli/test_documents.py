#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is written about the command line is what it does: manual page and bash completion."""

import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakeferryd import COMPLETED, MOVE  # noqa: E402
from runs import FERRY, SOURCE, FerryCase  # noqa: E402

COMPLETION = os.path.join(SOURCE, "data/ferry.bash-completion")
OPTION = re.compile(r"--[a-z-]+")


class Documents(FerryCase):
    def commands(self):
        return re.findall(r"^  ([a-z]+) ", self.ferry("help")[1], re.MULTILINE)

    def options(self, command):
        text = self.ferry(command, "--help")[1]
        return set(OPTION.findall(text.partition("Options:")[2].partition("\n\n")[0]))

    def test_manual_names_every_command_and_option(self):
        with open(os.path.join(SOURCE, "docs/man/ferry.1"), encoding="utf-8") as file:
            manual = file.read()
        self.assertGreater(len(self.commands()), 9)
        for command in self.commands():
            self.assertRegex(manual, rf"\.It (Xo\n\.Cm|Cm) {command}\b")
            for option in self.options(command):
                self.assertRegex(manual, rf"\.It .*Fl Fl {option[2:]}\b|\.Op Fl Fl {option[2:]}\b", command)
        named = {"--" + name for name in re.findall(r"Fl Fl ([a-z-]+)", manual)}
        real = {"--version"}.union(*map(self.options, self.commands()))
        self.assertIn("also: --version", self.ferry("help")[1])
        self.assertEqual(named, real)

    def test_manual_of_the_settings_names_every_key(self):
        with open(os.path.join(SOURCE, "src/migrate/settings.c"), encoding="utf-8") as file:
            source = file.read()
        keys = set(re.findall(r'^    \{"[a-z-]+", "([a-z-]+)", [A-Z]+', source, re.MULTILINE))
        groups = set(re.findall(r'^    \{"([a-z-]+)", ', source, re.MULTILINE))
        self.assertGreater(len(keys), 20)
        with open(os.path.join(SOURCE, "docs/man/ferryd.conf.5"), encoding="utf-8") as file:
            manual = file.read()
        self.assertEqual(set(re.findall(r"^\.Ss \[([a-z-]+)\]", manual, re.MULTILINE)), groups)
        named = set()
        for line in re.findall(r"^\.It (Cm .*)", manual, re.MULTILINE):
            named |= set(re.findall(r"Cm ([a-z-]+)", line))
        self.assertEqual(named, keys)

    def test_help_of_the_daemons(self):
        for program in ("daemon/ferryd", "worker/ferry-worker"):
            path = os.path.join(os.path.dirname(os.path.dirname(FERRY)), program)
            text = subprocess.run([path, "--help"], check=True, text=True, capture_output=True,
                                  env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
            self.assertIn("[OPTION…]", text)

    def complete(self, *words):
        """What bash offers behind these words, the last of which is being typed."""
        script = f"""
            ferry() {{ "$FERRY" --socket "$API" "$@"; }}
            virsh() {{ printf '%s\\n' web01 db02 ''; }}
            source "{COMPLETION}"
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _ferry
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        text = subprocess.run(["bash", "-c", script, "bash", "ferry", *words], check=True, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "FERRY": FERRY, "API": self.ferryd.path}).stdout
        return text.split()

    def test_completion(self):
        self.ferryd.answers["GET", "/v1/peers"] = (200, {"peers": [
            {"name": name, "address": name, "fingerprint": "ab", "expires": 0}
            for name in ("zulu", "yankee")]})
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": [
            MOVE, {**MOVE, **COMPLETED, "id": "88aa1234-0000-4000-8000-000000000003", "vm": "a b"}]})
        self.ferryd.answers["GET", "/v1/migrations?all=1"] = (200, {"migrations": [
            MOVE, {**MOVE, **COMPLETED, "id": "77aa1234-0000-4000-8000-000000000002"}]})
        for words, offered in (
                (["mi"], ["migrate"]),
                (["migrate", ""], ["web01", "db02"]),
                (["migrate", "web01", ""], ["zulu", "yankee"]),
                (["migrate", "web01", "z"], ["zulu"]),
                (["migrate", "web01", "zulu", ""], []),
                (["migrate", "--switch", ""], []),
                (["migrate", "--switch", "a", "=", "b", ":", ""], []),
                (["migrate", "--switch", "a", "=", "b", ":", "500", "w"], ["web01"]),
                (["migrate", "--switch", "=", "a", "=", "b", "web01", "y"], ["yankee"]),
                (["--socket", "/x", "--json", "compare", "web01", "z"], ["zulu"]),
                (["list", "--color", "=", "ne"], ["never"]),
                (["list", "--color", "="], ["auto", "always", "never"]),
                (["list", "--color", "a"], ["auto", "always"]),
                (["cancel", ""], ["5d0f1234"]),
                (["status", ""], ["5d0f1234", "77aa1234"]),
                (["unpair", ""], ["zulu", "yankee"]),
                (["help", "un"], ["unpair"])):
            self.assertEqual(self.complete(*words), offered, words)

    def test_completion_offers_every_command_and_option(self):
        self.assertEqual(self.complete(""), self.commands())
        for command in self.commands():
            self.assertEqual(set(self.complete(command, "--")), self.options(command), command)

    def test_completion_without_ferryd_is_quiet(self):
        self.ferryd.stop()
        self.assertEqual(self.complete("unpair", ""), [])


if __name__ == "__main__":
    unittest.main()
