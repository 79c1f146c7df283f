"""Run the scenarios: one line per test ("ok NAME", "FAILED NAME", "skipped NAME: why"), exit 1 after a failure.

Usage: run.py [--in FOLDER] [PART ...]   only tests of that folder, whose name contains one of the parts
       run.py --jobs N                  every file, N of them at a time, each in a process of its own
"""
import concurrent.futures
import pathlib
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


class Lines(unittest.TextTestResult):
    def name(self, test):
        return test.id()

    def startTest(self, test):
        self.began = time.monotonic()
        unittest.TestResult.startTest(self, test)

    def tell(self, word, test, more=""):
        self.stream.writeln(f"{word} {self.name(test)}{more} ({time.monotonic() - self.began:.1f} s)")
        self.stream.flush()

    def addSuccess(self, test):
        self.tell("ok", test)

    def addFailure(self, test, err):
        unittest.TestResult.addFailure(self, test, err)
        self.tell("FAILED", test)

    def addError(self, test, err):
        unittest.TestResult.addError(self, test, err)
        self.tell("FAILED", test) if hasattr(test, "_testMethodName") else self.stream.writeln(f"FAILED {test}")

    def addSubTest(self, test, subtest, err):
        """A test with a failed part gets neither addSuccess nor addFailure."""
        unittest.TestResult.addSubTest(self, test, subtest, err)
        if err:
            self.tell("FAILED", subtest)

    def addSkip(self, test, reason):
        unittest.TestResult.addSkip(self, test, reason)
        self.stream.writeln(f"skipped {self.name(test)}: {reason}")


def every(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from every(test)
        else:
            yield test


def run_file(module):
    done = subprocess.run([sys.executable, __file__, module + "."], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.flush()
    return done.returncode


def run_files(jobs):
    # Crashes first: they take longest and mostly wait.
    first = ("test_crash", "test_dcs_faults_server")
    modules = sorted((f.stem for f in HERE.glob("test_*.py")), key=lambda m: (m not in first, m))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return max(pool.map(run_file, modules))


def main(parts):
    if parts[:1] == ["--jobs"] and len(parts) == 2:
        return run_files(int(parts[1]))
    folder = str(HERE)
    if parts[:1] == ["--in"]:
        folder, parts = parts[1], parts[2:]
    tests = list(every(unittest.defaultTestLoader.discover(folder, pattern="test_*.py")))
    chosen = [t for t in tests if not parts or any(p in t.id() for p in parts)]
    if not chosen:
        print("no test has that in its name", file=sys.stderr)
        return 1
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Lines, verbosity=0).run(unittest.TestSuite(chosen))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
