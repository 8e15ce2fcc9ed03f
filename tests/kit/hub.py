"""A Hugging Face Hub of this machine: it speaks what the real package asks for when a model is put there."""

import base64
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TOKENS = {"hf_write": "write", "hf_read": "read"}
ME, LAB = "ada", "lab"


class Hub(ThreadingHTTPServer):
    """Repositories by name: whether each is private, and its files. ``asked`` has every request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repositories, self.private, self.asked, self.refuses_commits = {}, {}, [], False

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer("")

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers["Content-Length"] or 0)).decode())

    def log_message(self, *_):
        pass

    def _answer(self, body):
        hub, path = self.server, self.path.split("?")[0]
        hub.asked.append(f"{self.command} {path}")
        role = TOKENS.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))
        if role is None:
            return self._send(401, {"error": "Invalid user token."})
        if path == "/api/whoami-v2":
            return self._send(200, {"name": ME, "orgs": [{"name": LAB}], "auth": {"accessToken": {"role": role}}})
        if path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or ME}/{asked['name']}"
            hub.repositories[name], hub.private[name] = {}, asked.get("private") or asked.get("visibility") == "private"
            return self._send(200, {"url": f"{hub.endpoint}/{name}", "id": name, "name": name})
        name, action = re.fullmatch(r"/api/models/([^/]+/[^/]+)(.*)", path).groups()
        if name not in hub.repositories:
            return self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        return self._of_repository(name, action, body)

    def _of_repository(self, name, action, body):
        hub, files = self.server, self.server.repositories[name]
        if action.startswith("/tree"):
            return self._send(200, [{"type": "file", "path": path, "size": 1, "oid": "0" * 40} for path in files])
        if action.startswith("/preupload"):
            asked = [each["path"] for each in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked]
            return self._send(200, {"files": modes})
        if action.startswith("/commit"):
            if hub.refuses_commits:
                return self._send(403, {"error": "You may not write here."})
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self._send(200, {"commitUrl": f"{hub.endpoint}/{name}/commit/{'1' * 40}", "commitOid": "1" * 40})
        return self._send(200, {"id": name, "private": hub.private[name], "siblings": [], "sha": "0" * 40})

    def _send(self, code, value, headers=()):
        data = json.dumps(value).encode()
        self.send_response(code)
        for key, text in {"Content-Type": "application/json", **dict(headers)}.items():
            self.send_header(key, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
