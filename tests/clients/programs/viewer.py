"""Chromium shows a page of another origin whose script reads objects through the proxy: `viewer.py NAME`.

The script is `viewers/NAME.js`, bundled as web applications are. Its page is served on the socket that is the standard
input. The page is opened twice: from the origin that `[mapping.cors]` lists, where the script must read what was stored,
and from one that it does not list, where the script must fail.
"""

import functools
import http.server
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import viewer_inputs

env = os.environ
name = sys.argv[1]
viewers = Path(__file__).parent / "viewers"
node_modules = Path(env["TOOLS"]) / "node/node_modules"
reports = queue.Queue()


class Pages(http.server.SimpleHTTPRequestHandler):
    """Serves the files of the site. The page posts its report and the objects that it has read."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *_):
        """Logs nothing, since the test shows only the end of the output of a script that fails."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/report":
            reports.put(json.loads(body))
        else:
            (Path(env["GOT"]) / Path(self.path).name).write_bytes(body)
        self.send_response(204)
        self.end_headers()


def build_site():
    """Fills the folder `site` with the page, its script and the files that the script sends."""
    site = Path("site")
    site.mkdir()
    shutil.copy(viewers / "index.html", site)
    (site / "node_modules").symlink_to(node_modules)
    for variable in ["SMALL", "MEDIUM"]:
        (site / variable.lower()).symlink_to(env[variable])
    esbuild = ["node", node_modules / "esbuild-wasm/bin/esbuild", viewers / f"{name}.js"]
    options = ["--bundle", "--format=esm", "--log-level=error", "--outfile=site/viewer.js"]
    subprocess.run([*esbuild, *options], check=True, env={**env, "NODE_PATH": str(node_modules)})


def serve_site():
    """Serves the site on the socket that was inherited, and returns the port."""
    listener = socket.socket(fileno=0)
    handler = functools.partial(Pages, directory="site")
    server = http.server.ThreadingHTTPServer(("", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return listener.getsockname()[1]


def open_page(host, port):
    """Opens the page under a host's name, and returns its report."""
    where = urllib.parse.urlencode({"viewer": env["VIEWER"], "app": env["APP"], "prefix": env["PREFIX"]})
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
    options += [f"--user-data-dir={env['HOME']}/{host}", "--autoplay-policy=no-user-gesture-required"]
    options += ["--host-resolver-rules=MAP *.localhost 127.0.0.1"]
    with open(f"{host}.log", "wb") as log:
        browser = subprocess.Popen(["chromium", *options, f"http://{host}:{port}/?{where}"], stdout=log, stderr=log)
    try:
        return reports.get(timeout=80)
    except queue.Empty:
        sys.exit(f"the page of {host} reported nothing; Chromium says:\n{Path(log.name).read_text()[-1000:]}")
    finally:
        browser.terminate()
        browser.wait()


build_site()
expected = getattr(viewer_inputs, name)()
port = serve_site()
report = open_page("listed.localhost", port)
assert report == {"read": expected}, f"the listed page reported {report}, expected {expected}"
report = open_page("unlisted.localhost", port)
assert set(report) == {"error"}, f"the unlisted page reported {report}, expected an error"
print("done")
