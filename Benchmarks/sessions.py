"""What Benchmarks/sessions needs of Python, without any package: sessions as AYON writes them, clients, AYON's way, the check."""

import json
import random
import secrets
import signal
import socket
import sys
import time

TTL = 259200


class Redis:
    """RESP2 over a unix socket."""

    def __init__(self, path, database=0):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.replies = self.socket.makefile("rb", buffering=1 << 16)
        self.call("SELECT", database)

    def call(self, *words):
        return self.pipeline([words])[0]

    def pipeline(self, commands):
        out = bytearray()
        for words in commands:
            out += b"*%d\r\n" % len(words)
            for word in words:
                word = word if isinstance(word, bytes) else str(word).encode()
                out += b"$%d\r\n%s\r\n" % (len(word), word)
        self.socket.sendall(out)
        return [self._read() for _ in commands]

    def _read(self):
        line = self.replies.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        raise RuntimeError(line.decode())


def value(token, number, last_used, is_service):
    """About 1 KB, with sorted keys, as AYON's own."""
    return json.dumps(
        {
            "client_info": {
                "agent": {"client": "Chrome", "device": "Other", "platform": "windows"},
                "ip": "10.1.2.3",
                "languages": ["en", "cs"],
                "location": {"city": "Prague", "country": "CZ", "subdivision": None},
                "site_id": f"some-site-id-{number}",
            },
            "created": last_used - 1e6,
            "is_api_key": is_service,
            "is_service": is_service,
            "last_used": last_used,
            "token": token,
            "user": {
                "active": True,
                "attrib": {"avatarUrl": None, "email": f"user{number}@example.com", "fullName": f"User {number}", "note": "x" * 120},
                "created_at": "2026-01-01T00:00:00+00:00",
                "data": {
                    "accessGroups": {"demo": ["artist", "viewer"]},
                    "defaultAccessGroups": ["artist"],
                    "isManager": True,
                    "isService": False,
                    "password": "pbkdf2:" + "ab" * 40,
                },
                "name": f"user{number % 5000}",
                "own_attrib": ["fullName", "email"],
                "ui_exposure_level": None,
                "updated_at": "2026-01-01T00:00:00+00:00",
            },
        },
        separators=(",", ":"),
    ).encode()


def write(path, database, count, tokens):
    """Every tenth is expired, every fiftieth a service session. Lines of the file: token, number, expired or not."""
    redis = Redis(path, database)
    now = time.time()
    random.seed(1)
    with open(tokens, "w") as file:
        for first in range(0, count, 1000):
            commands = []
            for number in range(first, min(first + 1000, count)):
                token = secrets.token_hex(32)
                is_expired, is_service = number % 10 == 0, number % 50 < 2
                # Nobody comes of age, or ages, while this runs.
                ages = {
                    (False, False): (0, TTL - 3600), (True, False): (TTL + 60, TTL * 4), (False, True): (-3600, -60), (True, True): (700, TTL),
                }
                age = random.uniform(*ages[is_expired, is_service])
                commands.append(("SET", "session-" + token, value(token, number, now - age, is_service)))
                file.write(f"{token} {number} {int(is_expired)}\n")
            redis.pipeline(commands)


def read_tokens(path):
    with open(path) as file:
        return [(token, int(number), expired == "1") for token, number, expired in (line.split() for line in file)]


def ayon(path, database):
    """Session.list() of AYON, with its commands one after the other; prints keys per second. No client library slows it down."""
    redis = Redis(path, database)
    start, seen, cursor = time.time(), 0, b"0"
    while True:
        cursor, keys = redis.call("SCAN", cursor, "MATCH", "session-*", "COUNT", 1000)
        for key in keys:
            session = json.loads(redis.call("GET", key))
            seen += 1
            if time.time() - session["last_used"] > (600 if session["is_service"] else TTL):
                if redis.call("GET", key):
                    redis.call("DEL", key)
        if cursor == b"0":
            break
    print(round(seen / (time.time() - start)))


def clients(path, tokens, rate, refreshed):
    """Reads and refreshes sessions, also expired ones that are just being used again, until SIGTERM; writes down which lived on."""
    redis = Redis(path)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    everything = read_tokens(tokens)
    random.seed(2)
    random.shuffle(everything)
    living = [session for session in everything if not session[2]]
    expired = [session for session in everything if session[2]]
    kept, late, count = [], 0, 0
    print("clients are at work", flush=True)
    start = time.time()
    while not stopping:
        commands, tried = [], []
        now = time.time()
        for _ in range(16):
            count += 1
            kind = count % 8
            if kind == 0 and expired:
                session = expired.pop()
                tried.append((len(commands), session))
                # XX: only one that the sweeper has not taken yet is refreshed; from then on it must live.
                commands.append(("SET", "session-" + session[0], value(session[0], session[1], now, False), "XX"))
            elif kind < 3:
                token, number, _ = random.choice(living)
                commands.append(("SET", "session-" + token, value(token, number, now, False), "XX"))
            else:
                commands.append(("GET", "session-" + random.choice(living)[0]))
        replies = redis.pipeline(commands)
        for index, session in tried:
            if replies[index] == b"OK":
                kept.append(session[0])
            else:
                late += 1
        missing = [c for c, r in zip(commands, replies) if r is None and not any(commands[i] is c for i, _ in tried)]
        if missing:
            raise SystemExit(f"a living session was gone: {missing[0][1]}")
        pause = start + count / rate - time.time()
        if pause > 0:
            time.sleep(pause)
    with open(refreshed, "w") as file:
        file.writelines(token + "\n" for token in kept)
    seconds = time.time() - start
    print(f"clients: {count} commands in {seconds:.1f} s ({count / seconds:.0f}/s); expired ones refreshed: {len(kept)} in time, {late} too late")


def check(path, tokens, refreshed, report, limit, ayon_rate):
    redis = Redis(path)
    with open(refreshed) as file:
        kept = {line.strip() for line in file}
    with open(report) as file:
        report = json.load(file)
    left, lost = 0, 0
    everything = read_tokens(tokens)
    for first in range(0, len(everything), 1000):
        part = everything[first : first + 1000]
        replies = redis.pipeline([("EXISTS", "session-" + token) for token, _, _ in part])
        for (token, _, is_expired), exists in zip(part, replies):
            must_live = not is_expired or token in kept
            left += exists == 1 and not must_live
            lost += exists == 0 and must_live
    slow = [
        (entry[2] / 1000, entry[3][0].decode())
        for entry in redis.call("SLOWLOG", "GET", -1)
        if entry[3][0].upper() in (b"EVALSHA", b"EVAL", b"SCAN")
    ]
    slowest = max(slow, default=(0, "none over 1 ms"))
    over = sum(milliseconds >= limit for milliseconds, _ in slow)
    speed = report["examined"] / report["seconds"]
    print(f"{report['examined']} examined, {report['deleted']} deleted in {report['seconds']:.2f} s: {speed:.0f} keys/s")
    print(f"AYON's way: {ayon_rate} keys/s; Ebb is {speed / ayon_rate:.1f} times as fast")
    print(f"slowest command of the sweeper: {slowest[0]:.1f} ms ({slowest[1]}); {over} of {limit} ms or longer")
    print(f"expired and left: {left}; refreshed or living and lost: {lost}")
    if left or lost or over or report["outcome"] != "finished":
        raise SystemExit(1)


def main():
    path, verb, *rest = sys.argv[1:]
    if verb == "write":
        write(path, int(rest[0]), int(rest[1]), rest[2])
    elif verb == "ayon":
        ayon(path, int(rest[0]))
    elif verb == "clients":
        clients(path, rest[0], float(rest[1]), rest[2])
    elif verb == "check":
        check(path, rest[0], rest[1], rest[2], float(rest[3]), int(rest[4]))


main()
