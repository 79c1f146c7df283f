"""The child of a test's function: does what its parameter "mode" says, well or badly."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time


def say(text):
    os.write(3, text if isinstance(text, bytes) else text.encode())


def message(**members):
    say(json.dumps(members) + "\n")


def stay():
    """Until the server is gone: the lifeline ends."""
    while os.read(4, 1):
        pass


def leave(clears=False):
    """Start a process that leaves group and session and would stay for ever; tell its number."""
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={} if clears else None)
    message(event=f"helper {helper.pid}")


def flood_log(size):
    """Lines of 20 bytes, numbered."""
    for at in range(0, size // 20, 1000):
        os.write(1, b"".join(b"line %014d\n" % n for n in range(at, at + 1000)))


def misbehave(mode, given):
    """The modes that only end when somebody ends them; False: none of them."""
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif mode == "bomb":  # stops by itself at a number that harms nobody
        for _ in range(int(given["count"])):
            if os.fork() == 0:
                stay()
                os._exit(0)
    elif mode == "memory":
        pile = []
        while len(pile) < int(given["count"]):  # MiB
            pile.append(b"x" * (1 << 20))
    elif mode == "disk":
        for k in range(int(given["count"])):  # MiB
            pathlib.Path(f"part-{k}").write_bytes(b"x" * (1 << 20))
    elif mode == "spin":
        while True:
            pass
    elif mode == "log_flood":
        flood_log(1 << 62)
    elif mode == "fd3_flood":
        while True:
            message(event="again")
    else:
        return False
    message(event="still here")
    while True:
        stay() if mode != "deaf" else time.sleep(3600)


def wait_for_file(name):
    while not pathlib.Path(name).exists():
        time.sleep(0.02)


def main():
    task = json.loads(pathlib.Path(os.environ["STINT_TASK"]).read_text())
    given = task["parameters"]
    mode = given.get("mode", "ok")
    message(event=f"pid {os.getpid()}")
    print("child of mode", mode, flush=True)
    if misbehave(mode, given):
        return 1
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
    elif mode == "leaver":
        leave()
    elif mode == "stayer":  # leaves one and then waits for the gate
        leave()
        wait_for_file(given["gate"])
    elif mode == "daemon":  # a double fork: its parent is gone at once
        if os.fork() == 0:
            leave()
            os._exit(0)
        os.wait()
    elif mode == "zombies":
        for _ in range(20):
            if os.fork() == 0:
                if os.fork() == 0:
                    os._exit(0)
                os._exit(0)
            os.wait()
        wait_for_file(given["gate"])
    elif mode == "holder":  # a helper in the group keeps every pipe open
        if os.fork() == 0:
            time.sleep(3600)
    elif mode == "closed":  # no channel any more, though much is left to do
        os.close(3)
        os.close(1)
        os.close(2)
        return 0
    elif mode == "log_burst":  # count MiB, once the gate is open
        wait_for_file(given["gate"])
        flood_log(int(given["count"]) << 20)
        print("the last words", flush=True)
    elif mode == "mute":  # no log any more, but reports
        os.close(1)
        os.close(2)
        message(progress=40)
        wait_for_file(given["gate"])
    elif mode == "hung_up":  # has said all it had to say, and goes on working and printing
        message(result={"rows": 7, "attempt": task["attempt"]})
        os.close(3)
        wait_for_file(given["gate"])
        print("still at work", flush=True)
        return 0
    elif mode == "hung_up_for_ever":
        os.close(3)
        stay()
    elif mode == "heirs":  # in no group and without a parent: hold all pipes, and flood them when this one has ended
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    message(event=f"helper {os.getpid()}")
                    while True:
                        message(event="again")
                        os.write(1, b"and again\n")
                os._exit(0)
            os.wait()
    elif mode == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif mode == "environment":
        message(result={"environment": sorted(os.environ), "descriptors": sorted(os.listdir("/proc/self/fd"), key=int)})
        return 0
    message(progress=90)
    message(result={"rows": 7, "attempt": task["attempt"]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
