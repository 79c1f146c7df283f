"""Real data through the server: public click and rating sets, trained as an instance's task, AUC above a floor.

The sets are looked for in $STINT_TEST_DATA (default: ../shared/data beside the project); a set that is not there is
skipped, and says so. What an independent implementation reaches on them is in docs/trainer.md.
"""
import csv
import io
import lzma
import os
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests" / "scenario"))

from stint_client import Server  # noqa: E402

DATA = pathlib.Path(os.environ.get("STINT_TEST_DATA") or ROOT.parent / "shared" / "data")

# Floor of the AUC on the validation rows, per set: what the defaults reach, less the spread between seeds.
FLOORS = {
    "movielens-latest-small": 0.660,
    "goodbooks-ratings": 0.770,
    "criteo-small": 0.715,
}


def rows_of(file):
    with lzma.open(file, "rt", newline="", encoding="utf-8") as text:
        yield from csv.DictReader(text)


def table(head, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def movielens(folder, server):
    """Films, by time: the last tenth of the ratings is to be foretold from the first nine."""
    genres = {r["movieId"]: r["genres"] for r in rows_of(folder / "movies.csv.xz")}
    ratings = sorted(rows_of(folder / "ratings.csv.xz"), key=lambda r: int(r["timestamp"]))
    server.import_file("movielens.csv", table(["rating", "user", "movie", "genres"], (
        [r["rating"], "u" + r["userId"], "m" + r["movieId"], genres[r["movieId"]]] for r in ratings)))
    return {"train_data": "movielens.csv", "label_field": "rating", "positive": ">=4", "tags_field": "genres"}


def goodbooks(folder, server):
    """Books, in a fixed random order, since the file is sorted and has no times."""
    authors = {r["id"]: r["authors"] for r in rows_of(folder / "books.csv.xz")}
    ratings = list(rows_of(folder / "ratings.csv.xz"))
    random.Random(1).shuffle(ratings)
    server.import_file("goodbooks.csv", table(["rating", "user", "book", "authors"], (
        [r["rating"], "u" + r["user_id"], "b" + r["book_id"], authors[r["book_id"]]] for r in ratings)))
    return {"train_data": "goodbooks.csv", "label_field": "rating", "positive": ">=4"}


def criteo(folder, server):
    """Ads with 39 fields, read as they came, packed with xz; the first column is a row number, not a feature."""
    for name in ("sample_train.csv.xz", "sample_test.csv.xz"):
        server.import_file(name, (folder / name).read_bytes())
    return {"train_data": "sample_train.csv.xz", "valid_data": "sample_test.csv.xz", "label_field": "0",
            "feature_fields": ",".join(str(i) for i in range(1, 40)),
            "numeric_fields": ",".join(str(i) for i in range(1, 14))}


SETS = {"movielens-latest-small": movielens, "goodbooks-ratings": goodbooks, "criteo-small": criteo}


def train(name, server):
    """The detail of the finished task."""
    client = server.client
    instance = name.replace("-", "_")
    answer = client.create_instance("data", instance, params=SETS[name](DATA / name, server))
    assert answer.status == 200, answer
    answer = client.create_task("data", instance)
    assert answer.status == 200, answer
    return client.finished("data", instance, 1, timeout=600)


def check(name, server):
    if not (DATA / name).is_dir():
        print(f"skipped data.{name}: not below {DATA}")
        return True
    detail = train(name, server)
    if detail["state"] != "success":
        print(f"{detail['errorCode']}: {detail['errorMessage']}\nFAILED data.{name}")
        return False
    result, floor = detail["result"], FLOORS[name]
    good = result["auc"] >= floor
    rate = result["rows_train"] * result["epochs_run"] / max(result["seconds"], 0.001)
    print(f"{'ok' if good else 'FAILED'} data.{name}: AUC {result['auc']:.4f} (floor {floor}), log loss "
          f"{result['logloss']:.4f}, {result['rows_train']} rows, {result['epochs_run']} epochs, "
          f"{result['seconds']:.1f} s, {rate:.0f} rows/s", flush=True)
    return good


def main():
    server = Server()
    try:
        server.start()
        assert server.client.create_app("data").status == 200
        good = [check(name, server) for name in SETS]
    finally:
        server.close()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
