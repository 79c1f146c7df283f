"""Start a server with the functions and data the SDK tests need, then run a command that finds it by environment."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scenario"))

from stint_client import Server  # noqa: E402


def main(command):
    server = Server()
    server.sample(rows=600)
    server.add_function("score")
    server.start()
    try:
        environment = dict(os.environ, STINT_ENDPOINT=f"127.0.0.1:{server.port}", STINT_GATES=str(server.folder),
                           ALIBABA_CLOUD_ACCESS_KEY_ID=server.access["access_key_id"],
                           ALIBABA_CLOUD_ACCESS_KEY_SECRET=server.access["access_key_secret"])
        return subprocess.run(command, env=environment).returncode
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
