"""Parameter templates: kept over a kill -9, and what an instance made from one really runs with."""
from test_dcs import DcsCase


class Templates(DcsCase):
    def test_an_instance_is_made_from_one(self):
        listed = self.ok(self.dcs.ask("GET", "config-templates", type="sys", cache_mode="single",
                                      engine_version="7.0")).json
        self.assertEqual(listed["template_num"], 1)
        body = {"template_id": listed["templates"][0]["template_id"], "name": "sessions", "type": "user",
                "params": {"maxmemory-policy": "allkeys-lfu", "timeout": "300"}}
        made = self.ok(self.dcs.ask("POST", "config-templates", body=body)).json["id"]
        self.server.restart()
        shown = self.ok(self.dcs.ask("GET", "config-templates", made, type="user")).json
        params = {p["param_name"]: p["param_value"] for p in shown["params"]}
        self.assertEqual({n: params[n] for n in body["params"]}, body["params"])
        one = self.create("from-template", template_id=made)
        connection = self.connect(one)
        # CONFIG is not a client's command here; INFO tells the policy, and the API all of them.
        self.assertEqual(connection.info("maxmemory_policy"), "allkeys-lfu")
        configs = self.ok(self.dcs.of("GET", one, "configs")).json["redis_config"]
        self.assertEqual({c["param_name"]: c["param_value"] for c in configs}["timeout"], "300")
        self.ok(self.dcs.of("POST", one, "hotkey-task"))
        self.assertEqual(self.ok(self.dcs.ask("DELETE", "config-templates", made)).json, {"result": "success"})
        self.refused(self.dcs.ask("GET", "config-templates", made), 400, "DCS.4988")
        self.delete(one)
