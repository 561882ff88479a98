"""A small server of the Open Inference Protocol (v2), for clients to talk to."""

import json
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from vae_pipeline.runtime import Bundle
from vae_pipeline.system.errors import DataError


@contextmanager
def v2_server(repository):
    """The address at which the models of a repository of MLServer's layout answer."""
    settings = [json.loads(path.read_text()) for path in repository.glob("*/model-settings.json")]
    models = {model["name"]: model for model in settings}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, models, Bundle.load(repository)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    def __init__(self, models, bundle, *request):
        self.models, self.bundle = models, bundle
        super().__init__(*request)

    def do_GET(self):
        model = self.models[self.path.removeprefix("/v2/models/")]
        self.reply(200, {name: model[name] for name in ("name", "versions", "platform", "inputs", "outputs")})

    def do_POST(self):
        name = self.path.removeprefix("/v2/models/").removesuffix("/infer")
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        inputs = {tensor["name"]: np.reshape(tensor["data"], tensor["shape"]) for tensor in request["inputs"]}
        try:
            answers = self.bundle.answer(self.models[name]["parameters"]["extra"]["graph"], inputs)
        except DataError as error:
            self.reply(400, {"error": str(error)})
            return
        outputs = [
            {"name": name, "datatype": "FP32", "shape": values.shape, "data": values.ravel().tolist()}
            for name, values in answers.items()
        ]
        self.reply(200, {"model_name": name, "outputs": outputs})

    def reply(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
