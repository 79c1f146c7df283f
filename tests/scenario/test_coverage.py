"""What docs/api-coverage.md says is true as far as a program can tell: every operation that is served has a row, every
row that says "done" names a test, and every test that is named exists. Needs no server."""
import re
import unittest

from stint_client import ROOT

DOCUMENT = ROOT / "docs" / "api-coverage.md"
TABLES = ("src/api/dcs/routes.c", "src/api/opensearch/routes.c")
TEST_COLUMNS = ("unit test", "scenario", "scenario, SDK")
OURS = {"StintGetTask", "StintGetTaskLog", "Health", "Ready", "Metrics"}  # in the section without operations


def table_rows(text):
    """Each row of each table as {column: cell}."""
    header = None
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("|") else None
        if not cells:
            header = None
        elif not header:
            header = cells
        elif not set(line) <= set("|-: "):
            yield dict(zip(header, cells))


def names_of_tests():
    found = set()
    for file in (ROOT / "tests").rglob("*.c"):
        found |= set(re.findall(r"^TEST\((\w+)\)", file.read_text(), re.M))
    for file in (ROOT / "tests").rglob("*.py"):
        found |= set(re.findall(r"^\s*def (test_\w+)", file.read_text(), re.M))
    return found


def mentions(cell):
    """Names of tests and of their files: what has a test's form."""
    for word in re.findall(r"[\w*/-]+(?:\.\.\.|\.\w+)?", cell):
        is_file = re.search(r"\.(c|py|js)$", word)
        if is_file or re.match(r"test_|\w+_test$", word) or word.count("_") > 1 or word.endswith("..."):
            yield word, bool(is_file)


def is_there(word, is_file, tests):
    if is_file:
        return any((ROOT / "tests").rglob(word.rsplit("/", 1)[-1]))
    if word.endswith("..."):
        return any(test.startswith(word[:-3]) for test in tests)
    return word in tests or any((ROOT / "tests").rglob(word + ".c"))


class Coverage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = DOCUMENT.read_text()
        cls.rows = list(table_rows(cls.text))

    @staticmethod
    def cells_of(row):
        return [cell for column, cell in row.items() if column in TEST_COLUMNS]

    def test_every_test_that_is_named_exists(self):
        tests = names_of_tests()
        named = [m for row in self.rows for cell in self.cells_of(row) for m in mentions(cell)]
        self.assertGreater(len(named), 100, "the document is read wrongly")
        self.assertEqual(sorted({word for word, is_file in named if not is_there(word, is_file, tests)}), [])

    def test_what_is_done_names_a_test(self):
        bare = [row for row in self.rows if re.match("done|partly", row.get("state", ""))
                and not any(cell for cell in self.cells_of(row))]
        self.assertEqual(bare, [])

    def test_every_operation_has_a_row(self):
        rows = " ".join(row.get("operation", "") for row in self.rows)
        served = set()
        for table in TABLES:
            served |= set(re.findall(r'"([A-Z][a-z]\w+)", (?:"|READ|WRITE)', (ROOT / table).read_text()))
            served |= set(re.findall(r'ON_\w+\("(\w+)", "', (ROOT / table).read_text()))
        self.assertGreater(len(served - OURS), 100, "the tables are read wrongly")
        self.assertEqual(sorted(o for o in served - OURS if not re.search(rf"\b{o}\b", rows)), [])
