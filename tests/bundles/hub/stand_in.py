"""A stand-in for the Hub: what huggingface_hub asks of it to push and to fetch, answered from memory on 127.0.0.1."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

LARGE = (".onnx", ".safetensors")
"""Files that go by the protocol of Git LFS."""


@dataclass
class Repository:
    """Commits with all their files, and branches that point at them."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, bytes], message: str) -> str:
        content = {**self.commits.get(self.branches.get(branch, ""), {}), **files}
        told = repr([(name, oid(name, data)) for name, data in sorted(content.items())]) + message
        commit = hashlib.sha1(told.encode()).hexdigest()
        self.commits[commit], self.branches[branch] = content, commit
        self.messages.append(message)
        return commit


@dataclass
class Hub:
    """The state of the stand-in, and every request that it got."""

    address: str = ""
    token: str = "hf_secret"
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    forbidden: bool = False

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        repository = self.repositories[name]
        return repository.commits[repository.branches[branch]]


def oid(name: str, content: bytes) -> str:
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def stand_in() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class Refused(Exception):  # noqa: N818
    """A status, and the code of the Hub's for why."""


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            try:
                self.route(path, body)
            except Refused as refused:
                status, code = refused.args
                self.send(status, {"error": "refused"}, {"X-Error-Code": code, "X-Error-Message": "refused"})

        do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815

        def route(self, path: str, body: bytes) -> None:
            known = self.headers.get("Authorization") == f"Bearer {hub.token}"
            if path.startswith("/large/"):
                hub.large[path.removeprefix("/large/")] = body
                self.send(200, {})
                return
            if path == "/api/validate-yaml":
                self.send(200, {"warnings": [], "errors": []})
                return
            if self.command == "POST" and not known:
                raise Refused(401, "")
            if self.command == "POST" and hub.forbidden:
                raise Refused(403, "")
            if path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                if name in hub.repositories:
                    self.send(409, {"error": "it is there", "url": f"{hub.address}/{name}"})
                    return
                private = asked.get("private") or asked.get("visibility") == "private"
                hub.repositories[name] = Repository(bool(private))
                hub.repositories[name].commit("main", {".gitattributes": b""}, "initial commit")
                self.send(200, {"url": f"{hub.address}/{name}", "name": name})
                return
            named = re.match(r"/(?:api/models/)?(?P<name>[^/]+/[^/]+?)(?:\.git)?(?:/(?P<rest>.*))?$", path)
            assert named is not None, path
            repository = hub.repositories.get(named["name"])
            if repository is None or (repository.private and not known):
                raise Refused(404, "RepoNotFound")
            self.repository(named["name"], repository, named["rest"] or "revision/main", body)

        def repository(self, name: str, repository: Repository, rest: str, body: bytes) -> None:
            what, _, about = rest.partition("/")
            if what == "info":
                asked = json.loads(body)["objects"]
                self.send(200, {"transfer": "basic", "objects": [self.upload(each) for each in asked]})
                return
            if what == "branch":
                repository.branches[about] = repository.branches["main"]
                self.send(200, {})
                return
            revision, _, file = about.partition("/")
            commit = repository.branches.get(revision, revision)
            if commit not in repository.commits:
                raise Refused(404, "RevisionNotFound")
            files = repository.commits[commit]
            if what == "revision":
                names = [{"rfilename": path} for path in files]
                self.send(200, {"id": name, "sha": commit, "private": repository.private, "siblings": names})
            elif what == "tree":
                self.send(200, [self.entry(path, content) for path, content in files.items()])
            elif what == "preupload":
                told = json.loads(body)["files"]
                self.send(200, {"files": [self.upload_mode(each["path"], files) for each in told]})
            elif what == "commit":
                lines = [json.loads(line) for line in body.splitlines()]
                new = {
                    each["value"]["path"]: base64.b64decode(each["value"]["content"])
                    if each["key"] == "file"
                    else hub.large[each["value"]["oid"]]
                    for each in lines
                    if each["key"] in ("file", "lfsFile")
                }
                made = repository.commit(revision, new, lines[0]["value"]["summary"])
                self.send(200, {"success": True, "commitOid": made, "commitUrl": f"{hub.address}/{name}/commit/{made}"})
            elif what == "resolve" and file in files:
                headers = {"X-Repo-Commit": commit, "ETag": f'"{oid(file, files[file])}"'}
                self.send(200, files[file], headers)
            else:
                raise Refused(404, "EntryNotFound")

        @staticmethod
        def entry(path: str, content: bytes) -> dict:
            found = {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            large = {"lfs": {"oid": oid(path, content), "size": len(content), "pointerSize": 128}}
            return {**found, **(large if path.endswith(LARGE) else {})}

        @staticmethod
        def upload_mode(path: str, files: dict[str, bytes]) -> dict:
            known = oid(path, files[path]) if path in files else None
            mode = "lfs" if path.endswith(LARGE) else "regular"
            return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": known}

        @staticmethod
        def upload(asked: dict) -> dict:
            told = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] in hub.large:
                return told
            return {**told, "actions": {"upload": {"href": f"{hub.address}/large/{asked['oid']}"}}}

        def send(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
