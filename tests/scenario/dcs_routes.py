"""Every DCS operation there is, from the server's own table, for tests that claim to have tried them all."""
import re
import urllib.parse

from stint_client import ROOT


def routes():
    """(method, path) of every operation in the server's table, with * for what a path names."""
    text = (ROOT / "src" / "api" / "dcs" / "routes.c").read_text()
    words = {"PROJECT": "/v2/*"}
    for name, of, more in re.findall(r'#define (\w+) (\w+) "(\S+)"', text):
        words[name] = words[of] + more
    rows = re.findall(r'\{ "([A-Z]+)", ([^,]+),', text)
    paths = [(method, "".join(words.get(w) or w.strip('"') for w in path.split())) for method, path in rows]
    return {(method, re.sub(r"\{\w+\}", "*", path)) for method, path in paths}


def route_of(known, method, url):
    """Which of the known routes a request went to; fixed words before what a path names, as the server has it."""
    segments = urllib.parse.urlsplit(url).path.rstrip("/").replace("/instance/", "/instances/").split("/")
    fitting = [(m, path) for m, path in known if m == method and len(path.split("/")) == len(segments)
               and all(w in ("*", s) for w, s in zip(path.split("/"), segments))]
    return min(fitting, key=lambda route: route[1].count("*"), default=(method, "/".join(segments)))
