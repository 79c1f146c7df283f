"""The child of a test's function: does what its parameter "mode" says, well or badly."""
import json
import os
import pathlib
import sys
import time


def say(text):
    os.write(3, text if isinstance(text, bytes) else text.encode())


def message(**members):
    say(json.dumps(members) + "\n")


def wait_for_file(name):
    while not pathlib.Path(name).exists():
        time.sleep(0.02)


def main():
    task = json.loads(pathlib.Path(os.environ["STINT_TASK"]).read_text())
    given = task["parameters"]
    mode = given.get("mode", "ok")
    message(event=f"pid {os.getpid()}")
    print("child of mode", mode, flush=True)
    if mode == "gate":
        message(progress=40)
        wait_for_file(given["gate"])
    elif mode == "hang":
        while True:
            time.sleep(3600)
    elif mode == "garbage":
        say(b"\xff\xfenot json at all\n")
        time.sleep(3600)
    elif mode == "long_line":
        say(b'{"event":"' + b"x" * 200000 + b'"}\n')
        time.sleep(3600)
    elif mode == "no_result":
        return 0
    elif mode == "exit_3":
        return 3
    elif mode == "error":
        message(error={"code": "Score.Wrong", "message": "the score is wrong", "fault": "user"})
        return 1
    elif mode == "flood":
        for step in range(int(given.get("count", "1000"))):
            message(metric="loss", step=step, value=1.0 / (step + 1), set="training")
    elif mode == "environment":
        message(result={"environment": sorted(os.environ), "descriptors": sorted(os.listdir("/proc/self/fd"), key=int)})
        return 0
    message(progress=90)
    message(result={"rows": 7, "attempt": task["attempt"]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
