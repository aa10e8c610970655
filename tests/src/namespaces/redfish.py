"""A stand-in for the controllers (BMCs) of the laboratory's machines: Redfish over HTTPS, one port each.

It is no BMC. It speaks as much of Redfish as fence_redfish asks for, and powers a node off by the laboratory's
own switch: what is proved is the fence agent and everything between it and the daemon.

usage: redfish.py CERTIFICATE SWITCH PASSWORD ADDRESS NODE=PORT...
"""

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

certificate, switch, password, address = sys.argv[1:5]
expected = "Basic " + base64.b64encode(("crm:" + password).encode()).decode()


def controller(node):
    state = {"power": "On"}

    class Controller(BaseHTTPRequestHandler):
        def answer(self, code, body):
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def allowed(self):
            if self.headers.get("Authorization") == expected:
                return True
            self.answer(401, {"error": "who are you?"})
            return False

        def do_GET(self):
            system = "/redfish/v1/Systems/1"
            reset = system + "/Actions/ComputerSystem.Reset"
            pages = {
                "/redfish/v1": {"Systems": {"@odata.id": "/redfish/v1/Systems"}},
                "/redfish/v1/Systems": {"Members": [{"@odata.id": system}]},
                system: {"PowerState": state["power"], "Actions": {"#ComputerSystem.Reset": {"target": reset}}},
            }
            if self.allowed():
                page = pages.get(self.path.rstrip("/"))
                self.answer(200 if page else 404, page or {})

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not self.allowed():
                return
            kind = json.loads(body)["ResetType"]
            print(node, kind, flush=True)
            # Accepted, as controllers do; the power follows later.
            self.answer(202, {})
            if kind == "ForceOff":
                wanted = dict(os.environ, CRM_FENCE_TARGET=node, CRM_FENCE_ACTION="off")
                if subprocess.run([switch], env=wanted).returncode == 0:
                    state["power"] = "Off"
            elif kind == "On":
                state["power"] = "On"

        def log_message(self, *words):
            pass

    return Controller


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
for pair in sys.argv[5:]:
    name, port = pair.split("=")
    server = ThreadingHTTPServer((address, int(port)), controller(name))
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
print("ready", os.getpid(), flush=True)
