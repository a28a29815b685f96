"""The other side of hooks, for tests: server.py FILE writes its URL into FILE and serves until it is ended.

Requests with ?id=ID are remembered; /log?id=ID tells them. Paths: /echo, /code/CODE, /fail/TIMES (503 so often, then 200),
/silent (never answers), /redirect/CODE?to=URL, /huge (answers for ever).
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

lock = threading.Lock()
requests = {}
never = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = {"method": self.command, "path": url.path, "host": headers["host"], "headers": headers, "body": body}
        name = query.get("id", "")
        with lock:
            known = requests.setdefault(name, [])
            if url.path != "/log":
                known.append(request)
            count = len(known)
        word, _, rest = url.path[1:].partition("/")
        if word == "log":
            self.answer(200, json.dumps(known))
        elif word == "echo":
            self.answer(200, json.dumps(request))
        elif word == "code":
            self.answer(int(rest), "code " + rest)
        elif word == "fail":
            failed = count <= int(rest)
            self.answer(503 if failed else 200, "failed" if failed else f"done at {count}")
        elif word == "silent":
            never.wait()
        elif word == "redirect":
            self.answer(int(rest), "", [("Location", query["to"])])
        elif word == "huge":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                self.close_connection = True

    do_GET = do_POST = do_PUT = do_HEAD = serve

    def answer(self, code, text, headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


# Tests come all at once; one that is turned away would come again only after a second.
ThreadingHTTPServer.request_queue_size = 128
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(sys.argv[1], "w") as file:
    file.write(f"http://127.0.0.1:{server.server_port}")
server.serve_forever()
