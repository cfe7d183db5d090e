# SPDX-License-Identifier: LGPL-2.1-or-later
"""A ferryd for the command line to talk to: answers as docs/api.md has them, and remembers what was asked.

What crosses between hosts is not in it: the real thing is tried in tests/system.
"""

import copy
import json
import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

ID = "5d0f1234-0000-4000-8000-000000000001"
GIB = 1 << 30
PROGRESS = {"done": 0, "total": 0, "rate": 0, "eta": None}
MOVE = {
    "id": ID, "version": 1, "role": "source", "vm": "web01",
    "vm_uuid": "a0000000-0000-4000-8000-000000000001", "peer": "zulu", "phase": "queued",
    "waiting": None, "began": 1790000000.25, "phase_began": 1790000000.25, "ended": None,
    "progress": PROGRESS, "wire_bytes": 0, "logical_bytes": 0, "blackout_ms": None,
    "total_seconds": None, "channels": {"alive": 4, "wanted": 4, "lost": 0}, "changes": None,
    "way_back": None, "findings": [], "error": None}
CHANGES = {
    "nics": [{"mac": "52:54:00:00:00:05", "old_switch": "vSwitch-VLAN500",
              "new_switch": "Converged", "vlans": [500]}],
    "disks": [{"target": "vda", "old_path": "/var/lib/libvirt/images/web01.qcow2",
               "new_path": "/srv/ssd/web01.raw", "old_format": "qcow2", "new_format": "raw",
               "capacity": 4 * GIB}]}
BLOCKING = {"code": "FERRY-2001", "severity": "blocks", "subject": "52:54:00:00:00:05",
            "text": "The NIC is on vSwitch-VLAN500, and zulu has no switch of that name.",
            "fix": "Add --switch vSwitch-VLAN500=SWITCH:VLAN."}
COMPLETED = {
    "phase": "completed", "ended": 1790000041.45, "total_seconds": 41.2, "blackout_ms": 167.6,
    "wire_bytes": GIB, "logical_bytes": 4 * GIB, "changes": CHANGES,
    "way_back": {"until": 1790086441, "disks": ["/var/lib/libvirt/images/web01.qcow2.ferry-5d0f"]}}


def refusal(code, text, findings=()):
    return {"error": {"code": code, "text": text, "findings": list(findings)}}


class FakeFerryd:
    """One migration (change() moves it on), and other answers by (method, path)."""

    def __init__(self, path):
        self.path = path
        self.changed = threading.Condition()
        self.move = copy.deepcopy(MOVE)
        self.patience = 25  # seconds a request may wait for a change
        self.on_cancel = (202, {})
        self.answers = {}
        self.asked = []   # (method, path, body), in order
        self.server = self.thread = None

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = socketserver.ThreadingUnixStreamServer(self.path, self.handler())
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.05])
        self.thread.start()
        return self

    def stop(self):
        if not self.server:
            return
        self.server.shutdown()
        self.thread.join()
        server, self.server = self.server, None
        with self.changed:
            self.changed.notify_all()  # those who wait for a change hang up
        server.server_close()
        os.unlink(self.path)

    def change(self, **members):
        with self.changed:
            self.move.update(copy.deepcopy(members))
            self.move["version"] += 1
            self.changed.notify_all()

    def requests(self, method, path):
        with self.changed:
            return [body for m, p, body in self.asked if (m, p) == (method, path)]

    def answer(self, method, target, body):
        path, _, query = target.partition("?")
        with self.changed:
            self.asked.append((method, target, body))
            if (method, target) in self.answers:
                return self.answers[method, target]
            if (method, path) == ("POST", "/v1/migrations"):
                return 201, copy.deepcopy(self.move)
            if (method, path) == ("POST", f"/v1/migrations/{ID}/cancel"):
                return self.on_cancel
            if method == "GET" and path in (f"/v1/migrations/{ID}", "/v1/migrations/web01"):
                if query.startswith("after="):
                    after, server = int(query[6:]), self.server
                    self.changed.wait_for(
                        lambda: self.move["version"] > after or self.server is not server,
                        self.patience)
                    if self.server is not server:
                        return None
                return 200, copy.deepcopy(self.move)
        return 404, refusal("not-found", f"{method} {target} is not known here")

    def handler(self):
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def address_string(self):
                return "local"

            def log_message(self, *_args):
                pass

            def serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length)
                reply = fake.answer(self.command, self.path, json.loads(text) if text else None)
                if reply is None:
                    return
                status, body = reply
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                if status == 204:
                    data = b""
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it went away while we waited for a change

            do_GET = do_POST = do_PATCH = do_DELETE = serve
        return Handler
