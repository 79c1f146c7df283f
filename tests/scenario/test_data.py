"""Training for real, and data files that are wrong: the task fails, and says file, line and reason."""
import json

from common import ServerCase

HEAD = "click,user_id,item_id\n"
GOOD = "".join(f"{i % 3 == 0:d},u{i % 7},i{i % 5}\n" for i in range(400))


class Data(ServerCase):
    args = ("--max-running", "4")

    @classmethod
    def prepare(cls, server):
        cls.best = server.sample(rows=8000, seed=3)

    def train(self, app, text=None, file="data.csv", **params):
        if text is not None:
            file = f"{app}.csv" if file == "data.csv" else file
            self.server.import_file(file, text)
        self.app(app)
        self.ok(self.client.create_instance(app, "one", params={"train_data": file, "epochs": "3", **params}))
        self.ok(self.client.create_task(app, "one"))
        return self.client.finished(app, "one", 1)

    def failed(self, app, code, *says, **more):
        detail = self.train(app, **more)
        self.assertEqual(detail["state"], "failed", detail)
        task = self.client.get_task(app, "one", 1).result
        error = json.loads(task["ExtendInfo"])["errors"][0]
        self.assertEqual(error["code"], code, error)
        for part in says:
            self.assertIn(part, error["message"])
        self.assertEqual(detail["attempt"], 1, "the user's fault is not tried again")
        self.assertEqual(self.client.get_instance(app, "one").result["Status"], "unavailable")

    def test_a_model_is_trained_and_in_service(self):
        detail = self.train("good", file="shop.csv", label_field="click", epochs="8")
        self.assertEqual(detail["state"], "success", detail)
        result = detail["result"]
        self.assertGreater(result["auc"], 0.5)
        self.assertLessEqual(result["auc"], self.best["best_auc"] + 0.05)
        self.assertRegex(result["sha256"], r"^[0-9a-f]{64}$")
        self.assertTrue(detail["dataHash"])
        names = {(m["set"], m["name"]) for m in detail["metrics"]}
        self.assertIn(("validation", "logloss"), names)
        task = self.client.get_task("good", "one", 1).result
        info = json.loads(task["ExtendInfo"])
        self.assertEqual(info["errors"], [])
        self.assertAlmostEqual(info["auc"], result["auc"], places=4)
        self.assertEqual(self.client.get_instance("good", "one").result["Status"], "available")

    def test_the_same_seed_gives_the_same_bits(self):
        one = self.train("bits1", file="shop.csv", seed="5", threads="1")
        two = self.train("bits2", file="shop.csv", seed="5", threads="1")
        other = self.train("bits3", file="shop.csv", seed="6", threads="1")
        self.assertEqual(one["result"]["sha256"], two["result"]["sha256"])
        self.assertNotEqual(one["result"]["sha256"], other["result"]["sha256"])

    def test_missing_file(self):
        self.failed("missing", "Data.NotFound", "nowhere.csv", file="nowhere.csv")

    def test_empty_file(self):
        self.failed("empty", "Data.Invalid", "empty.csv", text="")

    def test_heading_only(self):
        self.failed("heading", "Data.Invalid", "heading.csv", text=HEAD)

    def test_no_label_column(self):
        self.failed("nolabel", "Data.Invalid", "nolabel.csv", text="a,b\n1,2\n")

    def test_a_row_with_too_few_cells(self):
        self.failed("short", "Data.Invalid", "short.csv:402", text=HEAD + GOOD + "1,u1\n" + GOOD)

    def test_a_label_that_is_no_number(self):
        self.failed("label", "Data.Invalid", "label.csv:402", text=HEAD + GOOD + "maybe,u1,i1\n" + GOOD)

    def test_a_line_without_end(self):
        self.failed("endless", "Data.TooLarge", "endless.csv:402", text=HEAD + GOOD + "1," + "x" * (20 << 20))

    def test_bytes_that_are_no_text(self):
        detail = self.train("bytes", text=b"\x00\xff\xfe\x00" * 5000)
        self.assertEqual((detail["state"], detail["fault"]), ("failed", "user"), detail)

    def test_a_damaged_archive(self):
        detail = self.train("archive", text=b"\x1f\x8b\x08\x00" + b"\x00" * 64, file="archive.csv.gz")
        self.assertEqual((detail["state"], detail["fault"]), ("failed", "user"), detail)

    def test_one_class_only(self):
        """Nothing to learn: either refused in words or trained with an undefined AUC; never a crash."""
        detail = self.train("oneclass", text=HEAD + "".join(f"0,u{i},i{i}\n" for i in range(300)))
        self.assertIn(detail["state"], ("success", "failed"))
        self.assertNotEqual(detail["fault"], "machine", detail)

    def test_a_link_out_of_the_root(self):
        outside = self.server.folder / "secret.csv"
        outside.write_text(HEAD + GOOD)
        link = self.server.data / "import" / "link.csv"
        link.symlink_to(outside)
        self.app("link")
        answer = self.client.create_instance("link", "one", params={"train_data": "link.csv"})
        if answer.status == 200:
            self.ok(self.client.create_task("link", "one"))
            detail = self.client.finished("link", "one", 1)
            self.assertEqual((detail["state"], detail["errorCode"]), ("failed", "Data.Denied"), detail)
        else:
            self.refused(answer, 400, "InvalidParameter", "link.csv")

    def test_many_files_with_short_names(self):
        """Their names together are short enough for a parameter; their whole paths would not be."""
        names = [f"part-{i:03}.csv" for i in range(200)]
        for i, name in enumerate(names):
            self.server.import_file(name, HEAD + f"{i % 3 == 0:d},u{i % 7},i{i % 5}\n")
        detail = self.train("many", file=",".join(names))
        self.assertEqual(detail["state"], "success", detail)
        self.assertEqual(detail["result"]["rows"], len(names))

    def test_one_file_under_two_names_does_not_validate_itself(self):
        path = self.server.import_file("twice.csv", HEAD + GOOD)
        self.failed("twice", "Data.Invalid", "is in train_data and in valid_data", file="twice.csv",
                    valid_data=str(path))
        detail = self.train("twice_same", file=f"twice.csv,{path}")
        self.assertEqual(detail["result"]["rows"], GOOD.count("\n"), "one file is read once")

    def test_a_failed_run_leaves_the_model_in_service(self):
        self.train("keeps", text=HEAD + GOOD)
        before = self.client.get_instance("keeps", "one").result
        self.assertEqual(before["Status"], "available")
        self.server.import_file("keeps.csv", "broken")
        self.ok(self.client.create_task("keeps", "one"))
        self.assertEqual(self.client.finished("keeps", "one", 2)["state"], "failed")
        after = self.client.get_instance("keeps", "one").result
        self.assertEqual((after["Status"], after["Task"]["DagStatus"]), ("available", "failed"))
