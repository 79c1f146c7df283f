"""Start a server with a cache, an ended task and one that waits for its window; run a command that finds them by
environment. Says "skipped NAME: why" when there is no redis-server. Usage: serve_and_run.py NAME COMMAND..."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scenario"))

from test_dcs import Tasks  # noqa: E402


def main(name, *command):
    if not shutil.which("redis-server"):
        print(f"skipped {name}: redis-server is not installed")
        return 0
    try:
        Tasks.setUpClass()
        server = Tasks.server
        environment = dict(os.environ, STINT_ENDPOINT=f"http://127.0.0.1:{server.port}",
                           HUAWEICLOUD_SDK_AK=server.access["access_key_id"],
                           HUAWEICLOUD_SDK_SK=server.access["access_key_secret"],
                           HUAWEICLOUD_SDK_PROJECT_ID=server.access["project_id"], STINT_INSTANCE=Tasks.ha,
                           STINT_TASK_ENDED=Tasks.done_task, STINT_TASK_WAITING=Tasks.waiting)
        return subprocess.run(command, env=environment).returncode
    finally:
        Tasks.doClassCleanups()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
