#!/usr/bin/env python3
"""An S3-compatible server for tests: moto's, with what tests need besides S3 itself.

    server.py FILE      listens on a free port of 127.0.0.1 and writes http://127.0.0.1:PORT into FILE

Every request of S3 has to be signed, see signatures.py, but for the one that creates a test's bucket.

Under /_ebb/ it takes JSON, always with the bucket that is meant:
    seed     {bucket, objects: [[key, size, age in seconds], ...]}      objects as if put so long ago
    drop     {bucket}                                                   the bucket with all that is in it
    remove   {bucket, keys}                                             takes objects away behind everybody's back
    uploads  {bucket, uploads: [[key, age in seconds], ...]}            uploads in parts that nobody completes
    pages    {bucket, uploads}                                          how many uploads a page shows at most
    clock    {bucket, ahead}                                            by how many seconds its clock is ahead
    fault    {bucket, operation, kind, times, keys, code}               what goes wrong with the next requests
    hold     {bucket, operation, skip}                                  stops one request before it is worked on
    held     {bucket, operation}                                        returns once that request is there
    release  {bucket, operation}                                        lets it go on
    state    {bucket}                                                   calls by operation, keys, uploads under way
A bucket's clock is that of its answers' Date, and of the times of what is put there from then on.
Kinds of faults: `unavailable` (503, nothing happens), `denied` (403, nothing happens), `unsupported` (501, nothing happens), `gateway` (200 with a page for people, nothing happens), `lost` (it happens, the answer is 503), `truncated` (it happens, the
answer is cut off), `reset` (nothing happens, no answer at all), `keys` (these keys of a deletion fail with the code; without one, the answer does not mention them),
`renewed` (it happens, then these keys are put anew, and the answer is 503).
"""
import bisect
import datetime
import io
import json
import re
import socket
import sys
import threading
import time
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import FakeKey, FakeMultipart, S3Backend, s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

sys.dont_write_bytecode = True  # sources stay alone in their folder
import signatures

UNAVAILABLE = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'

# So many uploads at most, says S3.
UPLOADS = 1000

REFUSALS = {"denied": (403, "AccessDenied"), "unsupported": (501, "NotImplemented")}


def backend():
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def list_objects_v2(self, bucket, prefix, delimiter, continuation_token, start_after, max_keys):
    """Moto reads every key of the bucket for each page, half a second at 20,000; this one looks the first up."""
    names = sorted(dict.keys(bucket.keys))
    prefix = prefix or ""
    after = bytes.fromhex(continuation_token).decode() if continuation_token else start_after
    start = bisect.bisect_right(names, after) if after is not None and after >= prefix else bisect.bisect_left(names, prefix)
    found = []
    for name in names[start : start + max_keys + 1]:
        if name.startswith(prefix):
            found.append(bucket.keys[name])
    token = found[max_keys - 1].name.encode().hex() if len(found) > max_keys else None
    return found[:max_keys], len(found) > max_keys, token


S3Backend.list_objects_v2 = list_objects_v2


def ago(seconds):
    """By this machine's clock."""
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(seconds=seconds)


def error(status, code, message, **details):
    elements = {"Code": code, "Message": message, **details}
    text = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in elements.items())
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'
    return Response(document, status=status, mimetype="application/xml")


class Bucket:
    def __init__(self):
        self.calls = {}
        self.faults = []
        self.holds = {}
        self.uploads = UPLOADS
        self.ahead = 0


class Hold:
    def __init__(self, skip):
        self.skip = skip
        self.arrived = threading.Event()
        self.released = threading.Event()


class Server:
    def __init__(self, app):
        self.app = app
        self.buckets = {}
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        request = Request(environ)
        if request.path.startswith("/_ebb/"):
            arguments = json.loads(request.get_data())
            result = getattr(self, "do_" + request.path[len("/_ebb/"):])(self.bucket(arguments["bucket"]), **arguments)
            return Response(json.dumps(result or {}), mimetype="application/json")(environ, start_response)
        host = request.host.split(":")[0]
        name = host.split(".")[0] if not re.fullmatch(r"[0-9.]+", host) else request.path.split("/")[1]
        operation = self.operation(request)
        bucket = self.bucket(name)
        environ["ebb.ahead"] = bucket.ahead
        with self.lock:
            bucket.calls[operation] = bucket.calls.get(operation, 0) + 1
        refusal = self.refusal(request)
        if refusal:
            return refusal(environ, start_response)
        with self.lock:
            fault = self.take_fault(bucket, operation)
            hold = bucket.holds.get(operation)
            if hold:
                hold.skip -= 1
                if hold.skip != -1:
                    hold = None
        if hold:
            hold.arrived.set()
            hold.released.wait(600)
        return self.answer(environ, start_response, request, name, fault)

    @staticmethod
    def refusal(request):
        """The answer to a request that is not signed as it has to be; None for one that is."""
        target = request.environ["RAW_URI"]
        headers = {name.lower(): value for name, value in request.headers.items()}
        creates_bucket = request.method == "PUT" and re.fullmatch("/[^/?]+", target)
        if creates_bucket and "authorization" not in headers:
            return None
        try:
            signatures.check(request.method, target, headers, request.get_data())
        except signatures.Refused as refused:
            return error(refused.status, refused.code, refused.message, **refused.details)

    def bucket(self, name):
        with self.lock:
            return self.buckets.setdefault(name, Bucket())

    @staticmethod
    def operation(request):
        if request.method == "GET" and "uploads" in request.args:
            return "uploads"
        if request.method == "GET":
            return "list"
        if request.method == "POST" and "delete" in request.args:
            return "delete"
        if request.method == "DELETE":
            return "abort"
        return request.method.lower()

    @staticmethod
    def take_fault(bucket, operation):
        for fault in bucket.faults:
            if fault["operation"] == operation and fault["times"] > 0:
                fault["times"] -= 1
                return fault
        return None

    def answer(self, environ, start_response, request, name, fault):
        kind = fault["kind"] if fault else None
        if kind == "unavailable":
            return Response(UNAVAILABLE, status=503, mimetype="application/xml")(environ, start_response)
        if kind in REFUSALS:
            return error(*REFUSALS[kind], "not here")(environ, start_response)
        if kind == "gateway":
            return Response(b"<html><body>Down for maintenance</body></html>", mimetype="text/html")(environ, start_response)
        if kind == "reset":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        refused = []
        if kind == "keys":
            body = request.get_data()
            for key in fault["keys"]:
                part = b"<Object><Key>" + key.encode() + b"</Key></Object>"
                if part in body:
                    body = body.replace(part, b"")
                    refused.append(key)
            if b"<Object>" not in body:
                errors = self.errors(refused, fault["code"])
                answer = b'<?xml version="1.0"?><DeleteResult>' + errors + b"</DeleteResult>"
                return Response(answer, mimetype="application/xml")(environ, start_response)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        elif request.method in ("POST", "PUT"):
            environ["wsgi.input"] = io.BytesIO(request.get_data())
        if self.operation(request) == "uploads" and name in backend().buckets:
            result = self.uploads(name, request.args)
        else:
            result = Response.from_app(self.app, environ)
        if kind == "renewed":
            self.do_seed(self.bucket(name), name, [[key, 0, 0] for key in fault["keys"]])
        if kind in ("lost", "renewed"):
            return Response(UNAVAILABLE, status=503, mimetype="application/xml")(environ, start_response)
        if kind == "keys":
            result.set_data(result.get_data().replace(b"</DeleteResult>", self.errors(refused, fault["code"]) + b"</DeleteResult>"))
        if kind == "truncated":
            data = result.get_data()
            start_response(result.status, list(result.headers))
            return [data[: len(data) // 2]]
        return result(environ, start_response)

    def uploads(self, name, arguments):
        """A page of uploads: moto has no pages, encodes no keys, and says of every upload that it began in 2010."""
        encodes = arguments.get("encoding-type") == "url"
        key, id = arguments.get("key-marker", ""), arguments.get("upload-id-marker", "")
        left = sorted((upload.key_name, upload.id, upload) for upload in backend().buckets[name].multiparts.values())
        left = [entry for entry in left if entry[0].startswith(arguments.get("prefix", ""))]
        # A marker without an ID is behind all uploads of its key.
        left = [entry for entry in left if (entry[:2] > (key, id) if id else entry[0] > key)]
        most = min(int(arguments.get("max-uploads", UPLOADS)), self.bucket(name).uploads)
        page = [(quote_plus(key, safe="/") if encodes else escape(key), id, upload) for key, id, upload in left[:most]]
        text = f"<Bucket>{name}</Bucket><MaxUploads>{most}</MaxUploads>"
        text += f"<IsTruncated>{str(len(left) > most).lower()}</IsTruncated>"
        if len(left) > most:
            key, id, _ = page[-1]
            text += f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>"
        for key, id, upload in page:
            initiated = getattr(upload, "initiated", ago(0)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            text += f"<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{initiated}</Initiated></Upload>"
        root = "ListMultipartUploadsResult"
        document = f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{text}</{root}>'
        return Response('<?xml version="1.0" encoding="UTF-8"?>\n' + document, mimetype="application/xml")

    @staticmethod
    def errors(keys, code):
        if not code:
            return b""
        return b"".join(
            f"<Error><Key>{key}</Key><Code>{code}</Code><Message>not this one</Message></Error>".encode() for key in keys
        )

    # What tests ask for.

    def do_seed(self, state, bucket, objects):
        target = backend().buckets[bucket]
        for key, size, age in objects:
            made = FakeKey(name=key, bucket_name=bucket, value=b"x" * size, account_id=DEFAULT_ACCOUNT_ID, region_name="us-east-1")
            made.last_modified = ago(age - state.ahead)
            target.keys[key] = made

    def do_remove(self, state, bucket, keys):
        for key in keys:
            dict.pop(backend().buckets[bucket].keys, key, None)

    def do_uploads(self, state, bucket, uploads):
        target = backend().buckets[bucket]
        for key, age in uploads:
            made = FakeMultipart(key, {}, DEFAULT_ACCOUNT_ID, "us-east-1")
            made.initiated = ago(age - state.ahead)
            target.multiparts[made.id] = made

    def do_pages(self, state, bucket, uploads):
        state.uploads = uploads

    def do_clock(self, state, bucket, ahead):
        state.ahead = ahead

    def do_drop(self, state, bucket):
        dict.clear(backend().buckets[bucket].keys)
        backend().delete_bucket(bucket)

    def do_fault(self, state, bucket, operation, kind, times=1, keys=(), code="AccessDenied"):
        with self.lock:
            state.faults.append({"operation": operation, "kind": kind, "times": times, "keys": keys, "code": code})

    def do_heal(self, state, bucket):
        with self.lock:
            state.faults.clear()

    def do_hold(self, state, bucket, operation, skip=0):
        with self.lock:
            state.holds[operation] = Hold(skip)

    def do_held(self, state, bucket, operation):
        return {"held": state.holds[operation].arrived.wait(120)}

    def do_release(self, state, bucket, operation):
        with self.lock:
            state.holds.pop(operation).released.set()

    def do_state(self, state, bucket):
        target = backend().buckets[bucket]
        return {"calls": state.calls, "keys": sorted(target.keys.keys()), "uploads": sorted(u.key_name for u in target.multiparts.values())}


class Handler(WSGIRequestHandler):
    def log(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        """The Date of an answer."""
        return super().date_time_string((timestamp or time.time()) + getattr(self, "environ", {}).get("ebb.ahead", 0))


def main():
    server = make_server(
        "127.0.0.1", 0, Server(DomainDispatcherApplication(create_backend_app)), threaded=True, request_handler=Handler
    )
    with open(sys.argv[1], "w") as file:
        file.write(f"http://127.0.0.1:{server.port}")
    server.serve_forever()


main()
