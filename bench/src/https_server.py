"""What the same note costs over HTTPS: each body that is posted is on the disk before it is answered."""

import http.server
import os
import ssl
import sys

address, certificate, key, journal = sys.argv[1:]
journal = os.open(journal, os.O_CREAT | os.O_WRONLY | os.O_APPEND)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        note = self.rfile.read(int(self.headers["Content-Length"]))
        os.write(journal, note + b"\n")
        os.fdatasync(journal)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_):
        # A client that gave up.
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = Server((address, 0), Handler)
# The handshake is the business of the connection's own thread: nobody waits for another's.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(f"https {address}:{server.server_port}\nready", file=sys.stderr, flush=True)
server.serve_forever()
