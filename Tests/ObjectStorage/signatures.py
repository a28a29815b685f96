"""Checks AWS's Signature Version 4 as S3 does, since moto believes everybody.

Everything comes from the request as it was received, and nothing from how its client made it. The document is
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
"""
import base64
import datetime
import hashlib
import hmac
import re
from urllib.parse import quote, unquote_to_bytes

REGION = "us-east-1"

# By access key ID: pairs of a secret key and, for temporary credentials, a session token. Two tests share the ID `id`.
CREDENTIALS = {
    "test": [("secret", None)],
    "id": [("very-secret", None), ("secret", None)],
    "temporary": [("secret", "FwoG/ZXIvYXdz+Ek=")],
}

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/([0-9]{8})/([^/,]+)/([^/,]+)/aws4_request, *"
    r"SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})"
)

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)


class Refused(Exception):
    """What S3 answers instead: a status, a code, a sentence, and further elements of its document."""

    def __init__(self, status, code, message, **details):
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


def check(method, target, headers, body):
    """Raises Refused unless the request is signed by one of the credentials.

    target is the path with the query as they were sent, headers has their names in lower case.
    """
    if "authorization" not in headers:
        raise Refused(403, "AccessDenied", "Access Denied")
    parts = AUTHORIZATION.fullmatch(headers["authorization"])
    if not parts:
        raise Refused(400, "AuthorizationHeaderMalformed", "The authorization header that you provided is not valid.")
    key_id, day, region, service, names, given = parts.groups()
    moment = headers.get("x-amz-date", "")
    check_scope(day, region, service, moment)
    check_names(names.split(";"), headers)
    if key_id not in CREDENTIALS:
        raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    request = canonical_request(method, target, names, headers)
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    for secret, token in CREDENTIALS[key_id]:
        if signature(secret, scope, text) == given:
            if headers.get("x-amz-security-token") != token:
                raise Refused(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
            return check_body(method, target, headers, body)
    raise Refused(
        403, "SignatureDoesNotMatch", MISMATCH, AWSAccessKeyId=key_id, StringToSign=text, CanonicalRequest=request
    )


def check_scope(day, region, service, moment):
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", moment):
        raise Refused(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
    if (day, region, service) != (moment[:8], REGION, "s3"):
        raise Refused(
            400, "AuthorizationHeaderMalformed", f"The credential scope is wrong; expecting {moment[:8]}/{REGION}/s3"
        )
    # By this machine's clock, also where tests have set that of the storage.
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    if abs(now - datetime.datetime.strptime(moment, "%Y%m%dT%H%M%SZ")) > datetime.timedelta(minutes=15):
        raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and now is too large.")


def check_names(names, headers):
    """The signature covers the headers that it has to cover, and they are there."""
    demanded = {"host"} | {name for name in headers if name.startswith("x-amz-") or name == "content-type"}
    if names != sorted(set(names)) or not demanded <= set(names) <= set(headers):
        raise Refused(403, "AccessDenied", "There were headers present in the request which were not signed")


def check_body(method, target, headers, body):
    if headers.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest():
        raise Refused(
            400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match the body."
        )
    checksum = headers.get("content-md5")
    if checksum and checksum != base64.b64encode(hashlib.md5(body).digest()).decode():
        raise Refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    is_deletion = method == "POST" and ("delete", "") in query(target)
    if is_deletion and not checksum and not any(name.startswith("x-amz-checksum-") for name in headers):
        raise Refused(400, "InvalidRequest", "Missing required header for this request: Content-MD5")


def canonical_request(method, target, names, headers):
    # Decoded and encoded again: what is signed has to be what is understood.
    path = quote(unquote_to_bytes(target.partition("?")[0]), safe="/")
    fields = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names.split(";"))
    pairs = "&".join(f"{name}={value}" for name, value in sorted(query(target)))
    return "\n".join([method, path, pairs, fields, names, headers.get("x-amz-content-sha256", "")])


def query(target):
    """Names and values, encoded the way they are signed; a plus sign is understood as a space."""
    found = []
    for part in target.partition("?")[2].split("&"):
        if part:
            name, _, value = part.replace("+", " ").partition("=")
            found.append((quote(unquote_to_bytes(name), safe=""), quote(unquote_to_bytes(value), safe="")))
    return found


def signature(secret, scope, text):
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()
