#!/usr/bin/env python3
"""Tests of the repository itself: who may include what, the size of files, their format, and that
README.md and `sluice --help` name the same flags (environment SLUICE_BIN: the executable)."""

import collections
import os
import pathlib
import re
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS = ("core", "pool", "sse", "net")
CODE = LAYERS + ("perf", "tests")

# What each folder may include. Tests may include anything.
ALLOWED = {
    "core": {"core"},
    "pool": {"pool", "core"},
    "sse": {"sse", "core"},
    "net": {"net", "sse", "pool", "core"},
    "perf": {"perf", "net", "sse", "pool", "core"},
    "tests": set(CODE),
}
# The parts of rooms that DESIGN.md's table has words for: "the messages of http1".
PARTS = {"messages": re.compile(r"net/http1/(?!\w+_conn\.h)"), "JSON": re.compile(r"net/filter/json_\w+\.h")}

# sse is pure: of core it may use only headers without a system or a protocol in them.
CORE_LEAVES = {"core/bytes.h", "core/check.h", "core/units.h"}

# Third-party headers stay in the files that wrap them.
WRAPPED = {
    r"liburing(\.h|/.*)|linux/io_uring\.h": r"core/(ring\.cc|uring_abi\.h)|perf/relay\.cc",
    r"llhttp\.h": r"net/http1/parser\.cc",
    r"nghttp2/.*": r"net/http2/session\.cc",
    r"ares\.h": r"net/dns/cares_resolver\.cc",
    r"CLI/.*": r"net/config/flags\.cc",
    r"openssl/.*": r"net/tls/.*|perf/bench_tls\.cc",
    r"zlib\.h": r"net/coding/(deflate_en|inflate_de)coder\.cc|tests/unit/coding/decoders\.h",
    r"zstd(_errors)?\.h": r"net/coding/zstd_(en|de)coder\.cc|tests/unit/coding/decoders\.h",
    r"brotli/.*": r"net/coding/brotli_(en|de)coder\.cc|tests/unit/coding/decoders\.h",
    r"simdjson\.h": r"net/filter/json_check\.cc",
    r"re2/.*": r"net/filter/pattern\.cc",
    r"luajit-.*|lua\.hpp": r"net/script/\w+\.cc",
    r"sqlite3\.h": r"net/hub/sqlite_db\.cc",
    r"toml(\+\+|plusplus)/.*|toml\+\+\.h": r"net/config/file\.cc",
}

LINES_MAX = 700
FORMAT_VERSION = 14  # Debian 12's


def files(folders, suffixes):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file() and "node_modules" not in path.parts:
                yield path


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def includes(path, form):
    """The includes of a file: form is '"' for ours, '<' for the others'."""
    close = {'"': '"', "<": ">"}[form]
    text = path.read_text(encoding="utf-8")
    return re.findall(rf'^\s*#\s*include\s*{form}([^{close}]+){close}', text, re.MULTILINE)


def rooms():
    """The table of the rooms of net/ in DESIGN.md, in its order: for each room those that it may include
    beside base, with the pattern of what it may include of them."""
    table = (ROOT / "DESIGN.md").read_text(encoding="utf-8").split("### The rooms of net/")[1].split("\n## ")[0]
    allowed = {}
    for room, words in re.findall(r"^\| `(\w+)/` \|.*\|([^|]*)\|$", table, re.MULTILINE):
        allowed[room] = {}
        for part, name in re.findall(r"(?:the (\w+) of )?(\w+)", words):
            allowed[room][name] = PARTS[part] if part else re.compile(f"net/{name}/")
    return allowed


class Layering(unittest.TestCase):
    def test_includes_go_down_only(self):
        wrong = []
        for path in files(CODE, {".cc", ".h"}):
            name = name_of(path)
            layer = path.relative_to(ROOT).parts[0]
            for include in includes(path, '"'):
                target = include.split("/")[0]
                if target not in ALLOWED[layer]:
                    wrong.append(f"{name} includes {include}")
                elif layer == "sse" and target == "core" and include not in CORE_LEAVES:
                    wrong.append(f"{name} includes {include}, which is no leaf of core")
        self.assertEqual(wrong, [])

    def test_the_table_has_each_room_below_what_it_includes(self):
        folders = {path.name for path in (ROOT / "net").iterdir() if path.is_dir()}
        self.assertEqual(set(rooms()), folders)
        above = set()
        for room, allowed in rooms().items():
            self.assertLessEqual(set(allowed), above, f"{room} includes what does not stand above it")
            above.add(room)

    def test_rooms_include_what_the_table_says(self):
        allowed = rooms()
        wrong, needed = [], {room: set() for room in allowed}
        for path in files(["net"], {".cc", ".h"}):
            name = name_of(path)
            room = path.relative_to(ROOT).parts[1]
            self.assertIn(room, allowed, f"{name}: no file stands in net/ itself")
            for include in includes(path, '"'):
                target = include.split("/")[1] if include.startswith("net/") else room
                if target in (room, "base"):
                    continue
                if target not in allowed[room] or not allowed[room][target].match(include):
                    wrong.append(f"{name} includes {include}")
                needed[room].add(target)
        self.assertEqual(wrong, [])
        self.assertEqual({room: set(names) for room, names in allowed.items()}, needed, "more is named than needed")

    def test_tests_mirror_the_rooms(self):
        folders = {path.name for path in (ROOT / "tests/unit").iterdir() if any(path.glob("*"))}
        self.assertEqual(folders - {"core", "pool", "sse"} - set(rooms()), set())

    def test_includes_are_relative_to_the_root(self):
        wrong = [f"{name_of(path)} includes {include}"
                 for path in files(CODE, {".cc", ".h"}) for include in includes(path, '"')
                 if not (ROOT / include).is_file()]
        self.assertEqual(wrong, [])

    def test_leaves_of_core_include_nothing_of_ours(self):
        for leaf in sorted(CORE_LEAVES):
            if (ROOT / leaf).exists():
                self.assertEqual(includes(ROOT / leaf, '"'), [], leaf)

    def test_third_party_headers_stay_in_their_wrappers(self):
        wrong = []
        for path in files(LAYERS + ("perf",), {".cc", ".h"}):
            for include in includes(path, "<"):
                for header, wrapper in WRAPPED.items():
                    if re.fullmatch(header, include) and not re.fullmatch(wrapper, name_of(path)):
                        wrong.append(f"{name_of(path)} includes <{include}>")
        self.assertEqual(wrong, [])

    def test_no_cycle(self):
        graph = {name_of(path): includes(path, '"') for path in files(CODE, {".cc", ".h"})}
        state = collections.defaultdict(int)  # 1: on the path, 2: done

        def visit(name, path):
            if state[name] == 1:
                self.fail("cycle: " + " -> ".join(path[path.index(name):] + [name]))
            if state[name] == 2:
                return
            state[name] = 1
            for include in graph.get(name, []):
                visit(include, path + [name])
            state[name] = 2

        for name in graph:
            visit(name, [])

    def test_the_scan_sees_files(self):
        for folder in LAYERS:
            self.assertTrue(list(files([folder], {".cc", ".h"})), folder)


class Size(unittest.TestCase):
    def test_no_file_is_too_long(self):
        long = {}
        sources = list(files(CODE, {".cc", ".h", ".py", ".js", ".cmake"}))
        sources += [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
        for path in sources:
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LINES_MAX:
                long[name_of(path)] = lines
        self.assertEqual(long, {})


class Format(unittest.TestCase):
    def test_clang_format_would_change_nothing(self):
        if shutil.which("clang-format") is None:
            self.skipTest("clang-format is not installed")
        version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=True).stdout
        if f"version {FORMAT_VERSION}." not in version:
            self.skipTest(f"clang-format {FORMAT_VERSION} has the say, others differ here and there: {version}")
        done = subprocess.run([ROOT / "scripts/format", "--check"], capture_output=True, text=True,
                              check=False)
        places = [line for line in done.stderr.splitlines() if "error:" in line]
        self.assertEqual(done.returncode, 0, "run scripts/format\n" + "\n".join(places[:20]))


class Planted(unittest.TestCase):
    def test_each_bug_can_be_planted(self):
        if shutil.which("patch") is None:
            self.skipTest("patch is not installed")
        for patch in sorted((ROOT / "tests/sim/planted").glob("*.patch")):
            done = subprocess.run(["patch", "--dry-run", "--fuzz=0", "-p1", "-d", ROOT, "-i", patch],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{patch.name}: {done.stdout}")


class Flags(unittest.TestCase):
    """In README.md a flag of sluice stands alone in its backticks (`--listen ...`) or on a command
    line of sluice or scripts/run; flags of other programs stand behind the program's name."""

    @classmethod
    def setUpClass(cls):
        binary = os.environ.get("SLUICE_BIN")
        if not binary:
            raise unittest.SkipTest("SLUICE_BIN is not set")
        text = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True,
                              timeout=30).stdout
        cls.known = set(re.findall(r"^\s+(?:-\w,\s*)?(--[a-z][a-z0-9-]*)", text, re.MULTILINE))
        cls.readme = (ROOT / "README.md").read_text(encoding="utf-8")

    def test_help_names_flags(self):
        self.assertLessEqual({"--listen", "--upstream", "--help"}, self.known)

    def test_readme_has_every_flag(self):
        told = set(re.findall(r"--[a-z][a-z0-9-]*", self.readme))
        self.assertEqual(sorted(self.known - told), [])

    def test_readme_has_no_other_flag(self):
        told = set(re.findall(r"`(--[a-z][a-z0-9-]*)", self.readme))
        for line in self.readme.replace("\\\n", " ").splitlines():
            command = re.search(r"(?:^|[\s/`])(?:sluice|scripts/run)\s+(--.*)", line)
            if command:
                told |= set(re.findall(r"(?<!\S)(--[a-z][a-z0-9-]*)", command.group(1)))
        negated = {flag for flag in told if flag.replace("--no-", "--", 1) in self.known}
        self.assertEqual(sorted(told - self.known - negated), [])


class Scripts(unittest.TestCase):
    def test_scripts_parse_and_can_be_run(self):
        scripts = [ROOT / ".ci/run", ROOT / "perf/steady", *(ROOT / "scripts").iterdir()]
        for script in scripts:
            with self.subTest(script=name_of(script)):
                self.assertTrue(os.access(script, os.X_OK), "is not executable")
                text = script.read_text(encoding="utf-8")
                if text.startswith("#!/usr/bin/env python3\n"):
                    compile(text, script, "exec")
                else:
                    subprocess.run(["bash", "-n", script], check=True)


if __name__ == "__main__":
    unittest.main()
