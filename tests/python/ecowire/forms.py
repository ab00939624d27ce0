"""Addresses, references, and the bounds of every canonical message (SPEC 2, 3, 5, 8)."""

import re

from . import ed25519, wire
from .wire import ENUMS, WireError

CLASSES = {"ipsg": "IPSG", "svc": "SERVICE", "org": "ORGANISATION", "aud": "AUDITOR", "node": "NODE"}
GROUPS = {"grp", "case", "all"}
MAX = {
    "header": 64 << 10, "context": 64 << 10, "wrap": 2 << 10, "genesis": 32 << 20, "signed_statement": (32 << 20) + 4096,
    "content": 256 << 10, "ciphertext": 300 << 10, "statement": 64 << 10, "receipt": 128 << 10,
    "attachment": (1 << 30) + (1 << 18),
}
KEM_SIZES = {16: (65, 65), 32: (32, 32), 25722: (1216, 1120)}
DAY_MS = 86_400_000


class Refused(Exception):
    """The name of a refusal of SPEC 10, and why."""

    def __init__(self, name, why=""):
        super().__init__(f"{name}: {why}" if why else name)
        self.name = name


def need(sound, why):
    if not sound:
        raise Refused("BAD_ENCODING", why)


def address_class(text):
    """The class of an address, or a refusal."""
    need(isinstance(text, str) and 1 <= len(text.encode()) <= 64, "an address has 1 to 64 bytes")
    segments = text.split("/")
    need(len(segments) <= 4, "at most four segments")
    need(all(re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", one) for one in segments), "a segment is malformed")
    first = segments[0]
    if re.fullmatch(r"[a-z]{2}", first):
        return {1: "NCB", 2: "SUB_BUREAU"}.get(len(segments), "ENDPOINT")
    need(first in CLASSES or first in GROUPS, "the first segment names no class")
    need(len(segments) > 1, "the address stops at its class")
    return CLASSES.get(first, "GROUP")


def check_network(text):
    sound = len(text) <= 64 and re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", text) and ".." not in text
    need(bool(sound), "no network")


def own_ncb(text):
    """The bureau that answers for an address in a country; None for all others."""
    return text[:2] if address_class(text) in ("SUB_BUREAU", "ENDPOINT") else None


def reference_text(sender, year, series, number):
    dotted = f".{series}" if series > 1 else ""
    return f"{sender.upper().replace('/', '.')}/{year:04}{dotted}/{number:06}"


def parse_reference(text):
    """(sender, year, series, number) of a text in either case."""
    match = re.fullmatch(r"([^/]+)/([0-9]{4})(?:\.([0-9]+))?/([0-9]+)", text)
    need(bool(match), "no reference")
    sender = re.sub("[A-Z]", lambda letter: letter[0].lower(), match[1]).replace(".", "/")
    address_class(sender)
    year, series, number = int(match[2]), int(match[3] or 1), int(match[4])
    need(2000 <= year <= 9999 and 1 <= series < 1 << 32 and 1 <= number < 1 << 64, "out of bounds")
    need(reference_text(sender, year, series, number) == text.upper(), "another spelling")
    return sender, year, series, number


def need_bytes(value, size, what, empty=False):
    need(len(value) == size or (empty and not value), f"{what} has not {size} bytes")


def need_enum(kind, value, what):
    need(value != 0 and value in ENUMS[kind], f"{what} has no named value")


def check_context(m):
    need(1 <= len(m["signers"]) <= 4, "signers")
    need(1 <= len(m["recipients"]) <= 512, "recipients")
    need(len(m["authorities"]) <= 16, "authorities")
    need(len(set(m["recipients"])) == len(m["recipients"]), "a recipient stands twice")
    need(len({one["key_id"] for one in m["signers"]}) == len(m["signers"]), "a signer stands twice")
    check_network(m["network"])
    for text in [m["sender"], *m["recipients"], *([m["via_group"]] if m["via_group"] else [])]:
        address_class(text)
    for signer in m["signers"]:
        need_bytes(signer["key_id"], 32, "key_id")
        need_enum("SigAlg", signer["alg"], "alg")
    for one in m["authorities"]:
        need_bytes(one["statement_digest"], 32, "statement_digest")
        need_enum("AuthorityKind", one["kind"], "authority")
    for field, kind in {
        "kind": "Kind", "priority": "Priority", "classification": "Classification", "handling": "Handling",
        "clock": "ClockQuality", "content_suite": "ContentSuite", "ipsg_opt_out": "OptOut",
    }.items():
        need_enum(kind, m[field], field)
    for field in ("directory_root", "deny_digest"):
        need_bytes(m[field], 32, field)
    for field in ("in_reply_to", "parent", "target"):
        need_bytes(m[field], 32, field, empty=True)
    need_bytes(m["room"], 16, "room", empty=True)
    need(2000 <= m["year"] <= 9999 and m["series"] >= 1 and m["number"] >= 1, "the reference is out of bounds")
    need(0 < m["created_ms"] < m["expires_ms"], "expires_ms is not after created_ms")
    if before := m["previous"]:
        need(2000 <= before["year"] <= 9999 and before["series"] >= 1 and before["number"] >= 1, "previous is out of bounds")


def check_header(m):
    need(1 <= m["content_size"] <= MAX["ciphertext"], "content_size")
    need(len(m["attachments"]) <= 32, "attachments")
    for field in ("key_commitment", "content_sha256", "wraps_root"):
        need_bytes(m[field], 32, field)
    for one in m["attachments"]:
        sound = 16 <= one["chunk_log2"] <= 18 and 1 <= one["ciphertext_size"] <= MAX["attachment"]
        need(sound, "an attachment is out of bounds")
        need_bytes(one["chunks_root"], 32, "chunks_root")


def check_wrap(m):
    need_enum("KemId", m["kem"], "kem")
    need_bytes(m["enc"], KEM_SIZES[m["kem"]][1], "enc")
    need_bytes(m["ct"], 48, "ct")
    need_bytes(m["key_id"], 32, "key_id")
    need(m["index"] < 512, "index")


def check_head(head):
    need(head is not None, "no head")
    check_network(head["network"])
    for field in ("issuer", "subject"):
        if head[field] != "network":
            address_class(head[field])
    need_bytes(head["prev_sha256"], 32, "prev_sha256", empty=True)
    need(head["seq"] >= 1 and (head["seq"] == 1) == (not head["prev_sha256"]), "seq and prev_sha256")
    need(head["expires_ms"] == 0 or head["expires_ms"] > head["created_ms"], "expires_ms")


def need_network(m):
    parties = (m["head"]["issuer"], m["head"]["subject"])
    need(parties == ("network", "network"), "the network authority speaks of the network")


def need_itself(m):
    head = m["head"]
    need(head["issuer"] != "network" and head["issuer"] == head["subject"], "a participant speaks of itself")


def need_key(public, what):
    need_bytes(public, 32, what)
    try:
        ed25519.check_point(public)
    except ed25519.SignatureRefused as error:
        raise Refused("BAD_ENCODING", f"{what}: {error}") from None


def check_authority(m):
    need(1 <= len(m["authority"]) <= 4, "authority")
    need(1 <= m["authority_threshold"] <= len(m["authority"]), "authority_threshold")
    for key in m["authority"]:
        need(key["alg"] == 1, "authority.alg")
        need_key(key["public"], "authority.public")
    need(len({key["public"] for key in m["authority"]}) == len(m["authority"]), "a key stands twice")


def check_certificates(chain):
    need(1 <= len(chain) <= 4 and all(1 <= len(der) <= 8192 for der in chain), "certificates")


def check_policy(m):
    need(m is not None and m["rules_version"] in (1, 2), "rules_version")
    need(0 < m["lifetime_min_ms"] <= m["lifetime_max_ms"] <= 366 * DAY_MS, "lifetimes")
    need(m["skew_max_ms"] <= 3_600_000, "skew_max_ms")
    need(1 <= len(m["kems"]) <= 4 and len(m["grants"]) <= 64, "kems or grants")
    for kem in m["kems"]:
        need_enum("KemId", kem, "kems")
    algs = m["identity_algs"]
    need(len(algs) <= 2 and all(a < b for a, b in zip(algs, algs[1:])), "identity_algs do not ascend")
    for alg in algs:
        need_enum("SigAlg", alg, "identity_algs")
    for grant in m["grants"]:
        need_enum("ParticipantClass", grant["class"], "grants.class")
        for field, kind in (("kinds", "Kind"), ("priorities", "Priority"), ("classifications", "Classification")):
            for value in grant[field]:
                need_enum(kind, value, field)


def check_genesis(m):
    need_network(m)
    need(m["head"]["seq"] == 1, "a genesis is the first")
    need_bytes(m["random"], 16, "random")
    check_certificates(m["roots"])
    check_authority(m)
    need_key(m["log_key"], "log_key")
    need_key(m["directory_key"], "directory_key")
    need(address_class(m["node"]) == "NODE", "node")
    check_policy(m["policy"])
    for one in m["participants"]:
        address_class(one["address"])
        need_enum("ParticipantState", one["state"], "state")
        need_enum("Classification", one["clearance"], "clearance")
        need_enum("OversightMode", one["oversight"], "oversight")
        check_certificates(one["identity_chain"])
    addresses = [one["address"] for one in m["participants"]]
    need(all(a < b for a, b in zip(addresses, addresses[1:])), "participants are not in order")


def check_trust(m):
    need_network(m)
    check_certificates(m["roots"])
    check_authority(m)
    need(1 <= len(m["nodes"]) <= 64 and all(address_class(node) == "NODE" for node in m["nodes"]), "nodes")
    for field in ("log_origin", "directory_origin"):
        need(1 <= len(m[field]) <= 200 and m[field].isascii(), field)
    need_key(m["log_key"], "log_key")
    need_key(m["directory_key"], "directory_key")
    need_bytes(m["genesis_sha256"], 32, "genesis_sha256")
    need(len(m["witnesses"]) <= 16 and m["witnesses_k"] <= len(m["witnesses"]), "witnesses")


def check_keys(m):
    need_itself(m)
    need(1 <= len(m["keys"]) <= 16, "keys")
    need(len({key["public"] for key in m["keys"]}) == len(m["keys"]), "a key stands twice")
    for key in m["keys"]:
        need_enum("KemId", key["kem"], "kem")
        need_enum("KeyState", key["state"], "state")
        need_bytes(key["public"], KEM_SIZES[key["kem"]][0], "public")
    need_bytes(m["cert_chain_sha256"], 32, "cert_chain_sha256")


def check_access(m):
    printable = all(" " <= char <= "~" for char in m["purpose"])
    need(printable and 1 <= len(m["purpose"]) <= 256, "purpose")
    need(m["from_index"] < m["to_index"] and m["head"]["expires_ms"] > 0, "an access has a range and an end")


def check_mailbox(m):
    need_itself(m)
    need(1 <= len(m["items"]) <= 64, "items")
    numbers = [item["mailbox_seq"] for item in m["items"]]
    need(numbers[0] >= 1 and all(a < b for a, b in zip(numbers, numbers[1:])), "items do not ascend")
    for item in m["items"]:
        need_bytes(item["message_id"], 32, "message_id")
    need(m["at_ms"] > 0, "at_ms")
    need_enum("ClockQuality", m["clock"], "clock")


def check_clock_step(m):
    need_network(m)
    need(m["now_ms"] > 0, "now_ms")


def check_signed_statement(m):
    need_enum("StatementKind", m["kind"], "kind")
    need(1 <= len(m["signatures"]) <= 4, "signatures")
    for one in m["signatures"]:
        need_bytes(one["key_id"], 32, "key_id")
        need_bytes(one["signature"], 64, "signature")


# name: (message type, check, number of StatementKind or None)
TYPES = {
    "header": ("Header", check_header, None), "context": ("Context", check_context, None),
    "wrap": ("Wrap", check_wrap, None), "signed_statement": ("SignedStatement", check_signed_statement, None),
    "genesis": ("Genesis", check_genesis, 1), "trust": ("Trust", check_trust, 2), "keys": ("KeyStatement", check_keys, 3),
    "access": ("AccessStatement", check_access, 4), "delivered": ("MailboxStatement", check_mailbox, 5),
    "acknowledged": ("MailboxStatement", check_mailbox, 6), "clock-step": ("ClockStep", check_clock_step, 7),
}
STATEMENTS = {number: name for name, (_, _, number) in TYPES.items() if number}


def read(name, data):
    """A message of a type of TYPES in its one encoding and within its bounds."""
    kind, check, statement = TYPES[name]
    if len(data) > MAX.get(name, MAX["statement"]):
        raise Refused("TOO_LARGE", name)
    try:
        message = wire.decode(kind, data)
        head = message.get("head")
        version = message["version"] if name == "context" else head["version"] if head else 1
        need(version == 1, "unknown version")
        if wire.encode(kind, message) != data:
            raise WireError("not in canonical form")
    except WireError as error:
        raise Refused("BAD_ENCODING", f"{name}: {error}") from None
    if statement:
        check_head(head)
    check(message)
    return message


def read_header(data, network):
    """(header, context) of a signed header of this network."""
    header = read("header", data)
    context = read("context", header["context"])
    need(context["network"] == network, "another network")
    return header, context
