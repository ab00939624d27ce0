"""The vectors that Python makes: python_<check>_good.json and python_<check>_bad.json. The same with every run."""

import base64
import hashlib
import json

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import ed25519, entries, forms, mlkem, p256, sealing, tree, trust, vectors, wire
from .certificates import Ca, ed
from .certificates import p256 as p256_of

NETWORK = "ecowire.test"
CREATED = 1_795_374_960_000
DAY = 86_400_000


class Coins:
    """Bytes that look random and are the same with every run."""

    def __init__(self, name):
        self.name, self.used = name.encode(), 0

    def __call__(self, count):
        self.used += 1
        return hashlib.shake_256(b"ecowire vectors\0" + self.name + self.used.to_bytes(4, "big")).digest(count)


class Files:
    """Cases by check and expectation. What is good must pass here already, what is bad must not."""

    def __init__(self):
        self.cases = {}

    def good(self, check, case):
        gives, refusal = vectors.outcome(check, case)
        if gives is None:
            raise AssertionError(f"{check}: {refusal} {case}")
        self.cases.setdefault(f"python_{check}_good", []).append(case | {"gives": gives})

    def bad(self, check, what, case, refusal=None):
        gives, found = vectors.outcome(check, case)
        if gives is not None or (refusal and refusal != found):
            raise AssertionError(f"{check}: {what}: {found}")
        extra = {"refusal": refusal} if refusal else {}
        self.cases.setdefault(f"python_{check}_bad", []).append(case | {"what": what} | extra)


def write(folder):
    """Writes every file and gives its name and number of cases."""
    files = Files()
    for make in (signatures, forms_of_statements, packed_forms, bounds, messages, deliveries, ledger, trees, notes, chains):
        make(files)
    for name, cases in sorted(files.cases.items()):
        (folder / f"{name}.json").write_text(json.dumps(cases, indent=2, sort_keys=True) + "\n")
        yield name, len(cases)


def seed(number):
    return bytes([number]) * 32


def head(issuer, subject, **other):
    values = {"version": 1, "network": NETWORK, "issuer": issuer, "subject": subject, "seq": 1, "created_ms": CREATED}
    return wire.new("StatementHead", **(values | other))


def signatures(files):
    """Keys and points with a part of small order: where the equations with and without cofactor differ."""
    torsion = ed25519.decompress(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
    a, r = 0x1234567890ABCDEF << 180, 0xFEDCBA0987654321 << 170
    plain = ed25519.multiply(a, ed25519.BASE)
    mixed = ed25519.add(plain, torsion)

    def case(public_point, r_point, message):
        public, first = ed25519.compress(public_point), ed25519.compress(r_point)
        k = ed25519.challenge(first, public, message)
        s = (r + k * a) % ed25519.L
        return k, {"public": public.hex(), "message": message.hex(), "signature": (first + s.to_bytes(32, "little")).hex()}

    r_point = ed25519.multiply(r, ed25519.BASE)
    files.good("ed25519", case(plain, r_point, b"no part of small order")[1])
    for wanted in range(8):
        number = next(n for n in range(1000) if case(mixed, r_point, n.to_bytes(4, "big"))[0] % 8 == wanted)
        made = case(mixed, r_point, number.to_bytes(4, "big"))[1]
        if wanted == 0:
            files.good("ed25519", made)
        else:
            files.bad("ed25519", f"A has a part of order 8, k = {wanted} mod 8: only the equation with cofactor holds", made)
    files.bad("ed25519", "R has a part of order 8", case(plain, ed25519.add(r_point, torsion), b"message")[1])
    curve = p256.Key.of_number(0x5EED << 200)
    inputs = {"public": curve.public.hex(), "message": b"from python".hex()}
    files.good("p256", inputs | {"signature": curve.sign(b"from python").hex()})
    r, s = curve.sign(b"from python")[:32], int.from_bytes(curve.sign(b"from python")[32:], "big")
    files.bad("p256", "n - s", inputs | {"signature": (r + (p256.N - s).to_bytes(32, "big")).hex()})
    files.bad("p256", "an x that is not below p", inputs | {"public": (b"\4" + b"\xff" * 32 + curve.public[33:]).hex(), "signature": curve.sign(b"from python").hex()})
    mixed = sealing.dsse_sign("t", b"from python", [seed(1), curve])
    publics = [ed25519.public_of(seed(1)), curve.public]
    files.good("dsse", {
        "payload_type": "t", "payload": b"from python".hex(), "signers": [[sealing.key_id(one).hex(), one.hex()] for one in publics],
        "signatures": [[one["key_id"].hex(), one["signature"].hex()] for one in mixed],
    })
    for name, payload in (("application/vnd.ecowire.header.v1+protobuf", b"from python"), ("\u00e9", b"")):
        signed = sealing.dsse_sign(name, payload, [seed(1), seed(2)])
        pairs = [[one["key_id"].hex(), one["signature"].hex()] for one in signed]
        publics = [[ed25519.key_id(ed25519.public_of(seed(n))).hex(), ed25519.public_of(seed(n)).hex()] for n in (1, 2)]
        files.good("dsse", {"payload_type": name, "payload": payload.hex(), "signers": publics, "signatures": pairs})


def root_ca():
    return Ca("", 1, path_length=2)


def genesis(**other):
    root = root_ca()
    ke = Ca("ke", 2, root, 1)
    chains = {
        "ipsg/ens": [root.leaf("ipsg/ens", "Identity", ed(20))],
        "ke": [ke.leaf("ke", "Identity", ed(21)), ke.der],
        "ke/cus/kemba": [ke.leaf("ke/cus/kemba", "Identity", ed(22)), ke.der],
    }
    participants = [
        wire.new("Participant", address=address, state=2, identity_chain=chain, clearance=3, oversight=1)
        for address, chain in sorted(chains.items())
    ]
    grant = wire.new("ClassGrant", **{"class": 3, "kinds": [1, 2, 3, 4, 5, 24], "priorities": [1, 2, 3], "classifications": [1, 2]})
    policy = wire.new(
        "Policy", rules_version=1, lifetime_max_ms=30 * DAY, lifetime_min_ms=3 * DAY, skew_max_ms=300_000,
        stale_key_grace_ms=DAY, kems=[25722], grants=[grant], flash_per_day=20,
    )
    values = {
        "head": head("network", "network"), "random": bytes(range(16)), "roots": [root.der], "authority": authority(2),
        "authority_threshold": 2, "log_key": ed25519.public_of(seed(31)), "directory_key": ed25519.public_of(seed(32)),
        "node": "node/dev-1", "policy": policy, "participants": participants,
    }
    return wire.new("Genesis", **(values | other))


def authority(count):
    return [wire.new("AuthorityKey", alg=1, public=ed25519.public_of(seed(40 + n))) for n in range(count)]


def trust_statement(**other):
    digest = tree.sha256(b"genesis.bin")
    log, directory = trust.origins(NETWORK, digest)
    values = {
        "head": head("network", "network"), "roots": [root_ca().der], "authority": authority(3), "authority_threshold": 2,
        "nodes": ["node/dev-1", "node/dev-2"], "log_origin": log, "log_key": ed25519.public_of(seed(31)),
        "directory_origin": directory, "directory_key": ed25519.public_of(seed(32)), "genesis_sha256": digest,
        "witnesses": [str(tree.VerifierKey("witness.example/w1", 4, ed25519.public_of(seed(33))))], "witnesses_k": 1,
    }
    return wire.new("Trust", **(values | other))


def sign_statement(number, payload, seeds):
    name = forms.STATEMENTS[number]
    made = sealing.dsse_sign(f"application/vnd.ecowire.{name}.v1+protobuf", payload, seeds)
    return wire.encode("SignedStatement", wire.new("SignedStatement", kind=number, statement=payload, signatures=made))


def forms_of_statements(files):
    """Genesis and trust: good, and one field wrong each."""
    made = {"genesis": genesis, "trust": trust_statement}
    for name, make in made.items():
        kind, number = forms.TYPES[name][0], forms.TYPES[name][2]
        payload = wire.encode(kind, make())
        files.good("canonical", {"type": name, "bytes": payload.hex()})
        for seeds in ([40, 41], [41, 40]):
            signed = sign_statement(number, payload, [seed(n) for n in seeds])
            files.good("statement", {"signed": signed.hex(), "signers": []})
        for what, seeds in (("below the threshold", [40]), ("a foreign key", [40, 50]), ("one key twice", [40, 40])):
            signed = sign_statement(number, payload, [seed(n) for n in seeds])
            files.bad("statement", f"{name}: {what}", {"signed": signed.hex(), "signers": []})
    small = bytes(32)
    first = genesis()["participants"]
    policy = genesis()["policy"]
    spoilt = {
        "genesis": {
            "issued by a participant": {"head": head("ke", "ke")}, "about a participant": {"head": head("network", "ke")},
            "the second": {"head": head("network", "network", seq=2, prev_sha256=seed(1))},
            "random of 15 bytes": {"random": bytes(15)}, "no root": {"roots": []}, "five roots": {"roots": [b"0"] * 5},
            "an empty root": {"roots": [b""]}, "no authority": {"authority": []}, "threshold 0": {"authority_threshold": 0},
            "threshold 3 of 2": {"authority_threshold": 3}, "a weak log key": {"log_key": small},
            "a weak authority": {"authority": [wire.new("AuthorityKey", alg=1, public=small)], "authority_threshold": 1},
            "an authority twice": {"authority": authority(1) * 2}, "node is none": {"node": "ke"}, "no policy": {"policy": None},
            "rules of version 3": {"policy": policy | {"rules_version": 3}},
            "lifetimes crossed": {"policy": policy | {"lifetime_min_ms": 31 * DAY}},
            "a lifetime of 367 days": {"policy": policy | {"lifetime_max_ms": 367 * DAY}},
            "skew of two hours": {"policy": policy | {"skew_max_ms": 7_200_000}}, "no kem": {"policy": policy | {"kems": []}},
            "a kem without a name": {"policy": policy | {"kems": [17]}},
            "a grant to no class": {"policy": policy | {"grants": [wire.new("ClassGrant", kinds=[1])]}},
            "a grant of kind 99": {"policy": policy | {"grants": [wire.new("ClassGrant", **{"class": 1, "kinds": [99]})]}},
            "participants out of order": {"participants": first[::-1]}, "a participant twice": {"participants": first[:1] * 2},
            "a participant without state": {"participants": [first[0] | {"state": 0}]},
            "a participant without a chain": {"participants": [first[0] | {"identity_chain": []}]},
        },
        "trust": {
            "issued by a participant": {"head": head("ke", "ke")}, "no node": {"nodes": []}, "a node that is none": {"nodes": ["ke"]}, "no origin": {"log_origin": ""},
            "an origin of 201 bytes": {"directory_origin": "a" * 201}, "a weak directory key": {"directory_key": small},
            "k over the witnesses": {"witnesses_k": 2}, "17 witnesses": {"witnesses": ["w"] * 17},
            "no genesis digest": {"genesis_sha256": b""}, "seq 0": {"head": head("network", "network", seq=0)},
        },
    }
    for name, cases in spoilt.items():
        for what, change in cases.items():
            payload = wire.encode(forms.TYPES[name][0], made[name](**change))
            files.bad("canonical", f"{name}: {what}", {"type": name, "bytes": payload.hex()}, "BAD_ENCODING")
    trust_files(files)


def trust_files(files):
    statement = trust_statement()

    def case(seeds, text=lambda toml: toml, **change):
        made = statement | change
        payload = wire.encode("Trust", made)
        signed = sealing.dsse_sign("application/vnd.ecowire.trust.v1+protobuf", payload, [seed(n) for n in seeds])
        return {"toml": text(trust.to_toml(made, signed))}

    for seeds in ([40, 41], [42, 40], [40, 41, 42]):
        files.good("trust", case(seeds))
    second = head("network", "network", seq=2, prev_sha256=seed(5), expires_ms=CREATED + DAY)
    files.good("trust", case([40, 41], head=second))
    files.good("trust", case([40], authority=authority(1), authority_threshold=1, witnesses=[], witnesses_k=0))
    for what, made in {
        "below the threshold": case([40]), "one key twice": case([40, 40]), "a foreign key": case([40, 50]),
        "another node": case([40, 41], lambda toml: toml.replace("dev-2", "dev-3")),
        "another time": case([40, 41], lambda toml: toml.replace(str(CREATED), str(CREATED + 1))),
        "an unknown field": case([40, 41], lambda toml: "more = 1\n" + toml),
        "a field missing": case([40, 41], lambda toml: toml.replace("witnesses_k = 1\n", "")),
        "hex in upper case": case([40, 41], lambda toml: toml.replace("log_key = \"", "log_key = \"A", 1)),
        "no toml": case([40, 41], lambda toml: toml + "["), "version 2": case([40, 41], lambda toml: toml.replace("version = 1", "version = 2")),
        "an origin of another genesis": case([40, 41], log_origin=f"{NETWORK}/log/0/00000000"),
        "a root that is none": case([40, 41], roots=[Ca("ke", 2, root_ca()).der]),
        "a witness that is none": case([40, 41], witnesses=["witness"]),
    }.items():
        files.bad("trust", what, made)


def packed_forms(files):
    """Encodings that a lenient reader takes for the canonical one."""
    good = genesis()
    payload, policy = wire.encode("Genesis", good), wire.encode("Policy", good["policy"])
    packed = wire.varint(6 << 3 | 2) + b"\x03" + wire.varint(25722)
    unpacked = policy.replace(packed, wire.varint(6 << 3) + wire.varint(25722))
    number, length = wire.varint(9 << 3 | 2), len(policy)
    whole = number + wire.varint(length) + policy
    assert whole in payload and packed in policy
    swapped = payload.replace(whole, number + wire.varint(len(unpacked)) + unpacked)
    head_bytes = wire.encode("StatementHead", good["head"])
    for what, data in {
        "kems are not packed": swapped,
        "an empty packed list": payload.replace(whole, number + wire.varint(length + 2) + policy + b"\x32\0"),
        "the head in two parts": payload + b"\x0a" + wire.varint(len(head_bytes)) + head_bytes,
        "a length with a leading zero": b"\x0a" + wire.varint(len(head_bytes) | 0x80)[:1] + b"\x80\0" + payload[2:],
        "an unknown field inside a message": payload.replace(whole, number + wire.varint(length + 2) + policy + b"\x78\1"),
        "a fixed32 of an unknown number": payload + b"\xfd\x01" + bytes(4),
        "a group": payload + b"\x7b\x7c",
        "field number 0": payload + b"\0\0",
    }.items():
        files.bad("canonical", what, {"type": "genesis", "bytes": data.hex()}, "BAD_ENCODING")


def context(**other):
    values = {
        "version": 1, "network": NETWORK, "sender": "ke", "year": 2026, "series": 3, "number": 1 << 40,
        "signers": [wire.new("SignerRef", key_id=ed25519.key_id(ed25519.public_of(seed(n))), alg=1) for n in (1, 2)],
        "recipients": ["th", "ipsg/ens", "ke/cus/kemba"], "kind": 2, "priority": 3, "classification": 3, "handling": 4,
        "created_ms": CREATED, "expires_ms": CREATED + 3 * DAY, "clock": 4, "content_suite": 1, "directory_size": 1,
        "directory_root": seed(6), "deny_digest": seed(9), "ipsg_opt_out": 1,
    }
    return wire.new("Context", **(values | other))


def bounds(files):
    """The last value that a field of context and header may have, and the first that it may not."""

    def previous(year):
        return wire.encode("Context", context(previous=wire.new("Previous", year=year, series=1, number=1)))

    def attached(size):
        reference = wire.new("AttachmentRef", chunk_log2=18, ciphertext_size=size, chunks_root=seed(4))
        parts = {"context": wire.encode("Context", context()), "content_size": 272, "attachments": [reference]}
        digests = dict.fromkeys(("key_commitment", "content_sha256", "wraps_root"), seed(3))
        return wire.encode("Header", wire.new("Header", **parts, **digests))

    largest = forms.MAX["attachment"]
    for kind, make, good, bad, what in (
        ("context", previous, 9999, 10_000, "previous of the year 10000"),
        ("context", previous, 2000, 1999, "previous of the year 1999"),
        ("header", attached, largest, largest + 1, "an attachment above 1 GiB and its tags"),
    ):
        files.good("canonical", {"type": kind, "bytes": make(good).hex()})
        files.bad("canonical", what, {"type": kind, "bytes": make(bad).hex()}, "BAD_ENCODING")


def sealed(name, plain=b"from python", context=None, **other):
    keys = [mlkem.xwing_keys(seed(60 + n))[2] for n in range(3)]
    context = context or globals()["context"]()
    return sealing.seal(context, "text/plain", plain, keys, [seed(1), seed(2)], Coins(name), **other)


def message_case(submission):
    pairs = ((1, "ke"), (2, "ke/desk/duty-2"))
    identities = [[ed25519.key_id(public).hex(), owner, public.hex()] for public, owner in ((ed25519.public_of(seed(n)), who) for n, who in pairs)]
    return {"network": NETWORK, "peer": "ke", "identities": identities, "submission": wire.encode("Submission", submission).hex()}


def messages(files):
    submission, _ = sealed("messages")
    files.good("message", message_case(submission))
    for what, change, refusal in (
        ("one of two signatures is missing", lambda list: list[:1], "BAD_SIGNATURE"),
        ("signatures in another order", lambda list: list[::-1], "BAD_SIGNATURE"),
        ("a third signature", lambda list: list + sealing.dsse_sign(sealing.HEADER_TYPE, submission["signed"]["header"], [seed(3)]), "BAD_SIGNATURE"),
        ("signed as a statement", lambda list: sealing.dsse_sign("application/vnd.ecowire.keys.v1+protobuf", submission["signed"]["header"], [seed(1), seed(2)]), "BAD_SIGNATURE"),
    ):
        signed = submission["signed"] | {"signatures": change(submission["signed"]["signatures"])}
        files.bad("message", what, message_case(submission | {"signed": signed}), refusal)
    foreign = message_case(submission)
    foreign["identities"] = foreign["identities"][:1]
    files.bad("message", "the second signer is not enrolled", foreign, "NOT_SENDER")


def delivery_case(submission, at, chunks=()):
    header = wire.decode("Header", submission["signed"]["header"])
    recipients = wire.decode("Context", header["context"])["recipients"]
    leaves = [tree.leaf_hash(wrap) for wrap in submission["wraps"]]
    return {
        "network": NETWORK, "me": recipients[at], "seeds": [seed(99).hex(), seed(60 + at).hex()],
        "header": submission["signed"]["header"].hex(), "wrap": submission["wraps"][at].hex(),
        "wrap_path": [one.hex() for one in tree.inclusion(leaves, at)], "content": submission["content"].hex(),
        "chunks": [[chunk.hex() for chunk in one] for one in chunks],
    }


def deliveries(files):
    submission, _ = sealed("deliveries")
    for at in range(3):
        files.good("delivery", delivery_case(submission, at))
    for size in (0, 1, 500, 5000):
        files.good("delivery", delivery_case(sealed(f"size {size}", bytes(size))[0], 1))
    two = bytes(range(256)) * 257
    submission, chunks = sealed("attachments", attachments=[(16, two), (18, b"one chunk")])
    files.good("delivery", delivery_case(submission, 2, chunks))
    first, second = chunks
    files.bad("delivery", "a chunk is missing", delivery_case(submission, 2, [first[:1], second]), "Root")
    files.bad("delivery", "chunks swapped", delivery_case(submission, 2, [first[::-1], second]), "Root")
    files.bad("delivery", "another attachment's chunks", delivery_case(submission, 2, [second, second]), "Root")
    for what, pieces in (
        ("an empty last chunk", [two[:65536], b""]), ("a short chunk in the middle", [two[:100], two[100:200]]),
        ("a chunk that is too large", [two[:65537]]),
    ):
        submission, chunks = sealed(what, attachments=[(16, pieces)])
        files.bad("delivery", what, delivery_case(submission, 2, chunks), "Chunk")
    inner = wire.encode("SealedBody", wire.new("SealedBody", media_type="text/plain", content=b"x"))

    def plain(body, size=256, tail=b""):
        return (len(body).to_bytes(4, "big") + body + tail).ljust(size, b"\0")

    for what, forged, refusal in (
        ("another commitment, which the wraps name", {"commitment": seed(1)}, "Commitment"),
        ("padding that is not zero", {"plain": plain(inner, tail=b"\1")}, "Body"),
        ("padding that is too long", {"plain": plain(inner, 512)}, "Body"),
        ("no padding", {"plain": plain(inner, 0)}, "Body"),
        ("a length beyond the end", {"plain": b"\xff" * 4 + bytes(252)}, "Body"),
        ("three bytes", {"plain": b"abc"}, "Body"),
        ("a body with an unknown field", {"plain": plain(inner + b"\x18\1")}, "Body"),
        ("no media type", {"plain": plain(b"\x12\1x")}, "Body"),
        ("a media type that is no ASCII", {"plain": plain(b"\x0a\2\xc3\xa9")}, "Body"),
    ):
        files.bad("delivery", what, delivery_case(sealed(what, forged=forged)[0], 0), refusal)


LOG = f"{NETWORK}/log/0/01020304"


def ledger(files):
    """Openings and receipts of every kind of entry."""
    key = str(tree.VerifierKey(LOG, 1, ed25519.public_of(seed(31))))
    signed = sign_statement(7, wire.encode("ClockStep", wire.new("ClockStep", head=head("network", "network"), now_ms=CREATED)), [seed(40)])
    one = {
        16: wire.encode("Started", wire.new("Started", random=bytes(32), version="0.1.0")),
        17: wire.encode("Head", wire.new("Head", directory_size=3, directory_root=seed(7))),
        18: wire.encode("RevocationsSeen", wire.new("RevocationsSeen", issuer_key_sha256=seed(1), crl_number=b"\2", crl_sha256=seed(2))),
        19: wire.encode("Refused", wire.new("Refused", sender="ke", year=2026, series=1, number=4, message_id=seed(3), name="NO_GRANT", rules_version=1)),
        20: wire.encode("RefusalsCounted", wire.new("RefusalsCounted", sender="ke", count=61, from_ms=1, to_ms=2)),
        21: wire.encode("StateClaim", wire.new("StateClaim", state_sha256_sum=seed(4))),
        23: wire.encode("Advice", wire.new(
            "Advice", kind=2, told="ke", seq=3, index=4, message_id=seed(3), sender="th", year=2026, series=1, number=4, priority=3,
            recipients=["ke/cus/p0"], since_ms=CREATED,
        )),
        22: wire.encode("Expired", wire.new("Expired", index=4, places=[wire.new("Place", address="ke", mailbox_seq=2)])),
    }
    values = {kind: {(1, 0): value} for kind, value in one.items()}
    values |= {kind: {(1, 0): signed} for kind in (1, 5, 6)}
    values[3] = {(1, 0): signed, (2, 0): (9).to_bytes(8, "big")}
    values[4] = {(1, 0): signed, (2, 0): seed(5)}
    values[18] = {(1, 0): one[18], (2, 0): b"\x30" + bytes(700)}  # whatever the list says, the slot holds it
    places = {(7, n + 1): wire.encode("Place", wire.new("Place", address=f"ke/cus/p{n}", mailbox_seq=n + 1)) for n in range(5)}
    values[2] = {(tag, 0): bytes([tag]) * 40 for tag in (1, 2, 3, 4, 5, 6, 8, 9)} | {(7, 0): (5).to_bytes(4, "big")} | places
    shown = {2: {(1, 0), (2, 0), (7, 3)}, 23: {(1, 0)}}
    values[23] |= {(7, 0): (1).to_bytes(4, "big"), (7, 1): places[7, 1]}
    for kind, slots in sorted(values.items()):
        slots[0, 0] = kind.to_bytes(2, "big")
        before = [tree.leaf_hash(bytes([n])) for n in range(kind * 3)]
        after = [tree.leaf_hash(bytes([n])) for n in range(kind * 7 % 5)]
        made = entries.make_receipt(kind, seed(kind), slots, CREATED + kind, shown.get(kind, set(slots)), before, after, LOG, seed(31))
        files.good("receipt", {"receipt": made[0].hex(), "log_key": key})
        files.good("opening", {"opening": made[1].hex(), "at_ms": CREATED + kind})
        if kind == 2:
            other = str(tree.VerifierKey(LOG.replace("/0/", "/1/"), 1, ed25519.public_of(seed(31))))
            files.bad("receipt", "the key of another log", {"receipt": made[0].hex(), "log_key": other})
    later_kinds(files)


def later_kinds(files):
    """Kinds that a later version has added: kept and skipped below 0x8000, refused from there on."""

    def opening(kind, tag=1):
        values = ((0, kind.to_bytes(4, "big")[-2:]), (tag, b"of a later version"))
        slots = [wire.new("Slot", tag=number, value=value) for number, value in values]
        made = wire.new("Opening", version=1, kind=kind, seed=seed(7), slots=slots)
        return {"opening": wire.encode("Opening", made).hex(), "at_ms": CREATED}

    for kind in (24, 300, 0x7FFF):
        files.good("opening", opening(kind))
    for what, case in {
        "a critical kind without a name": opening(0x8000), "the last critical kind": opening(0xFFFF), "a kind of 17 bits": opening(0x10001),
        "a slot that a later kind has not": opening(300, tag=2),
    }.items():
        files.bad("opening", what, case)


def trees(files):
    leaves = [tree.leaf_hash(n.to_bytes(8, "big")) for n in range(1000)]
    files.good("root", {"size": 1000})
    for size, index in ((1000, 0), (1000, 512), (1000, 999), (771, 770), (513, 512), (600, 77)):
        path = [one.hex() for one in tree.inclusion(leaves[:size], index)]
        root = tree.root(leaves[:size]).hex()
        files.good("inclusion", {"leaf": leaves[index].hex(), "index": index, "size": size, "path": path, "root": root})
    for old, size in ((1, 1000), (512, 1000), (999, 1000), (700, 771), (6, 513)):
        path = [one.hex() for one in tree.consistency(leaves[:size], old)]
        roots = tree.root(leaves[:old]).hex(), tree.root(leaves[:size]).hex()
        files.good("consistency", {"old_size": old, "old_root": roots[0], "size": size, "root": roots[1], "path": path})
    for count, shown in ((522, [0, 1, 2, 3, 7, 9, 521]), (12, [0, 8])):
        made = [one.hex() for one in tree.siblings(leaves[:count], shown)]
        pairs = [[at, leaves[at].hex()] for at in shown]
        files.good("disclosure", {"count": count, "shown": pairs, "siblings": made, "root": tree.root(leaves[:count]).hex()})


def notes(files):
    """A checkpoint with a witness's cosignature."""
    name, witness = "witness.example/w1", tree.VerifierKey("witness.example/w1", 4, ed25519.public_of(seed(33)))
    log = tree.VerifierKey(LOG, 1, ed25519.public_of(seed(31)))
    text = tree.checkpoint_text(LOG, 1 << 40, seed(8))
    signed = tree.sign_note(text, [(LOG, seed(31))])

    def cosigned(time, signed_time=None):
        when = signed_time or time
        message = f"cosignature/v1\ntime {when}\n{text}".encode()
        made = witness.id + time.to_bytes(8, "big") + ed25519.sign(seed(33), message)
        return signed + f"\u2014 {name} {base64.b64encode(made).decode()}\n".encode()

    keys = [str(log), str(witness)]
    files.good("checkpoint", {"note": signed.hex(), "key": str(log)})
    files.good("checkpoint", {"note": cosigned(CREATED // 1000).hex(), "key": str(log)})
    files.good("note", {"note": cosigned(CREATED // 1000).hex(), "keys": keys})
    files.good("verifier_key", {"text": str(witness)})
    files.bad("note", "a cosignature of another time", {"note": cosigned(5, 6).hex(), "keys": keys})
    files.bad("note", "a cosignature beyond 2^63 seconds", {"note": cosigned(1 << 63).hex(), "keys": keys})
    files.bad("checkpoint", "a witness's key alone", {"note": cosigned(5).hex(), "key": str(witness)})


def chains(files):
    root, other = root_ca(), Ca("", 9, path_length=2, common="DEV other root")
    ke, th, cn, node = Ca("ke", 2, root), Ca("th", 3, root), Ca("cn", 4, root, 1), Ca("node", 5, root)
    hk = Ca("cn/hk", 6, cn)

    def case(role, *chain, roots=None, now=CREATED, network=NETWORK):
        ders = [one.der if isinstance(one, Ca) else one for one in chain]
        trusted = [one.der for one in roots or [root]]
        return {"role": role, "chain": [der.hex() for der in ders], "roots": [der.hex() for der in trusted], "network": network, "now_ms": now}

    key, tls = ed(22), p256_of(22)
    files.good("chain", case("Identity", ke.leaf("ke/cus/kemba", "Identity", key), ke))
    files.good("chain", case("Identity", ke.leaf("ke/cus/kemba", "Identity", key, subject=[]), ke))
    files.good("chain", case("Identity", ke.leaf("aud/ke", "Identity", key), ke))
    files.good("chain", case("Identity", ke.leaf("ke", "Identity", tls), ke))
    files.good("chain", case("Identity", root.leaf("ipsg/ens", "Identity", key), roots=[other, root]))
    files.good("chain", case("Identity", hk.leaf("cn/hk", "Identity", key), hk, cn))
    files.good("chain", case("Identity", cn.leaf("cn/hk/cus/x-1", "Identity", key), cn))
    files.good("chain", case("Tls", ke.leaf("ke", "Tls", tls), ke))
    host = [x509.DNSName("gw.example")]
    files.good("chain", case("NodeTls", node.leaf("node/dev-1", "NodeTls", tls, names=host), node))
    leaf = ke.leaf("ke/cus/kemba", "Identity", key)
    stranger = Ca("ke", 2, root, 0, bits={"crl_sign"})
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
    person = [x509.NameAttribute(NameOID.COMMON_NAME, "Somebody")]
    for what, made in {
        "a leaf of ke by the CA of th": case("Identity", th.leaf("ke/cus/kemba", "Identity", key), th),
        "the same with ke's CA thrown in": case("Identity", th.leaf("ke/cus/kemba", "Identity", key), th, ke),
        "ke's CA first": case("Identity", th.leaf("ke/cus/kemba", "Identity", key), ke, th),
        "a certificate too many": case("Identity", leaf, ke, th), "the root sent along": case("Identity", leaf, ke, root),
        "no issuer": case("Identity", leaf), "another root": case("Identity", leaf, ke, roots=[other]),
        "a country by the root itself": case("Identity", root.leaf("ke", "Identity", key)),
        "a desk by a country": case("Identity", ke.leaf("ipsg/ens", "Identity", key), ke),
        "an auditor of another country": case("Identity", ke.leaf("aud/th", "Identity", key), ke),
        "a node by a country": case("NodeTls", ke.leaf("node/dev-1", "NodeTls", tls), ke),
        "a sub-bureau's CA outside its country": case("Identity", Ca("cn/hk", 6, ke).leaf("cn/hk", "Identity", key), Ca("cn/hk", 6, ke), ke),
        "a neighbour by a sub-bureau": case("Identity", hk.leaf("cn/mo", "Identity", key), hk, cn),
        "a group": case("Identity", root.leaf("grp/wg/wildlife", "Identity", key)),
        "an identity leaf for TLS": case("Tls", leaf, ke), "a TLS leaf for an identity": case("Identity", ke.leaf("ke", "Tls", tls), ke),
        "a participant as a node": case("NodeTls", ke.leaf("ke", "NodeTls", tls), ke),
        "a CA as a leaf": case("Identity", ke), "a leaf as a CA": case("Identity", leaf, leaf),
        "too early": case("Identity", leaf, ke, now=1_767_225_599_999), "too late": case("Identity", leaf, ke, now=1_798_761_601_000),
        "another network": case("Identity", leaf, ke, network="ecowire.live"),
        "a query in the name": case("Identity", ke.leaf("ke", "Identity", key, uri="spiffe://ecowire.test/ke?x"), ke),
        "a port in the name": case("Identity", ke.leaf("ke", "Identity", key, uri="spiffe://ecowire.test:1/ke"), ke),
        "upper case in the name": case("Identity", ke.leaf("ke", "Identity", key, uri="spiffe://ecowire.test/KE"), ke),
        "two names": case("Identity", ke.leaf("ke", "Identity", key, uri=["spiffe://ecowire.test/ke", "spiffe://ecowire.test/th"]), ke),
        "no name": case("Identity", ke.leaf("ke", "Identity", key, uri=[]), ke),
        "a host name": case("Tls", ke.leaf("ke", "Tls", tls, names=host), ke),
        "a person's name": case("Identity", ke.leaf("ke", "Identity", key, subject=person), ke),
        "no policy": case("Identity", ke.leaf("ke", "Identity", key, policy=False), ke),
        "the policy on a TLS leaf": case("Tls", ke.leaf("ke", "Tls", tls, policy=True), ke),
        "two usages": case("Tls", ke.leaf("ke", "Tls", tls, usages=[ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), ke),
        "a usage on an identity": case("Identity", ke.leaf("ke", "Identity", key, usages=[ExtendedKeyUsageOID.CLIENT_AUTH]), ke),
        "another key usage": case("Identity", ke.leaf("ke", "Identity", key, bits={"digital_signature", "content_commitment"}), ke),
        "an Ed25519 key for TLS": case("Tls", ke.leaf("ke", "Tls", key), ke),
        "an unknown critical extension": case("Identity", ke.leaf("ke", "Identity", key, extensions=[(odd, True)]), ke),
        "a CA that may not sign": case("Identity", stranger.leaf("ke", "Identity", key), stranger),
        "a path length of 2": case("Identity", Ca("ke", 2, root, 2).leaf("ke", "Identity", key), Ca("ke", 2, root, 2)),
        "no path length": case("Identity", Ca("ke", 2, root, None).leaf("ke", "Identity", key), Ca("ke", 2, root, None)),
        "the leaf has its CA's key": case("Tls", ke.leaf("ke", "Tls", p256_of(2)), ke),
        "the identity has its CA's key": case("Identity", ke.leaf("ke", "Identity", p256_of(2)), ke), "no root": case("Identity", leaf, ke, roots=[ke]),
    }.items():
        files.bad("chain", what, made)
