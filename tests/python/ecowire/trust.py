"""trust.toml: the statement rebuilt from the file, and what it says of the log (SPEC 8)."""

import base64
import re
import tomllib

from . import forms, profile, sealing, tree, wire
from .forms import Refused, need

TEXT = {"network", "genesis_sha256", "log_origin", "log_key", "directory_origin", "directory_key"}
NUMBERS = {"version", "seq", "created_ms", "expires_ms", "witnesses_k", "authority_threshold"}
LISTS = {"nodes", "witnesses", "roots", "authority"}


def unhex(text):
    need(isinstance(text, str) and bool(re.fullmatch("[0-9a-f]{64}", text)), "not 64 lower-case hex digits")
    return bytes.fromhex(text)


def unpem(text):
    match = re.fullmatch(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*", text)
    need(bool(match), "not one certificate in PEM")
    return base64.b64decode(re.sub(r"\s", "", match[1]), validate=True)


def pem(der):
    text = base64.b64encode(der).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def origins(network, genesis_sha256):
    first = genesis_sha256[:4].hex()
    return f"{network}/log/0/{first}", f"{network}/directory/{first}"


def to_statement(file):
    """The Trust message that the signatures stand over."""
    head = wire.new(
        "StatementHead", version=1, network=file["network"], issuer="network", subject="network", seq=file["seq"],
        prev_sha256=unhex(file["prev_sha256"]) if "prev_sha256" in file else b"",
        created_ms=file["created_ms"], expires_ms=file["expires_ms"],
    )
    return wire.new(
        "Trust", head=head, roots=[unpem(text) for text in file["roots"]],
        authority=[wire.new("AuthorityKey", alg=1, public=unhex(text)) for text in file["authority"]],
        authority_threshold=file["authority_threshold"], nodes=file["nodes"], log_origin=file["log_origin"],
        log_key=unhex(file["log_key"]), directory_origin=file["directory_origin"],
        directory_key=unhex(file["directory_key"]), genesis_sha256=unhex(file["genesis_sha256"]),
        witnesses=file["witnesses"], witnesses_k=file["witnesses_k"],
    )


def to_toml(statement, signatures):
    def quote(text):
        return f'"{text}"'

    def several(texts):
        return "[" + ", ".join(texts) + "]"

    head = statement["head"]
    lines = [
        "version = 1", f"network = {quote(head['network'])}", f"seq = {head['seq']}",
        *([f"prev_sha256 = {quote(head['prev_sha256'].hex())}"] if head["prev_sha256"] else []),
        f"created_ms = {head['created_ms']}", f"expires_ms = {head['expires_ms']}",
        f"nodes = {several(map(quote, statement['nodes']))}", f"genesis_sha256 = {quote(statement['genesis_sha256'].hex())}",
        f"log_origin = {quote(statement['log_origin'])}", f"log_key = {quote(statement['log_key'].hex())}",
        f"directory_origin = {quote(statement['directory_origin'])}",
        f"directory_key = {quote(statement['directory_key'].hex())}",
        f"witnesses = {several(map(quote, statement['witnesses']))}", f"witnesses_k = {statement['witnesses_k']}",
        "roots = [", *(f"'''\n{pem(der)}'''," for der in statement["roots"]), "]",
        f"authority_threshold = {statement['authority_threshold']}",
        f"authority = {several(quote(key['public'].hex()) for key in statement['authority'])}",
    ]
    for one in signatures:
        value = base64.b64encode(one["signature"]).decode()
        lines += ["", "[[signature]]", f"key_id = {quote(one['key_id'].hex())}", f"signature = {quote(value)}"]
    return "\n".join(lines) + "\n"


def parse(text):
    """The Trust message of a file that is whole: bounds, origins, and its own authority's signatures."""
    need(len(text.encode()) <= 65536, "more than 64 KiB")
    try:
        file = tomllib.loads(text)
        known = TEXT | NUMBERS | LISTS | {"prev_sha256", "signature"}
        need(set(file) <= known and known - set(file) <= {"prev_sha256"}, "fields are missing or unknown")
        need(all(type(file[name]) is int and 0 <= file[name] < 1 << 64 for name in NUMBERS), "a number is none")
        need(file["version"] == 1, "unknown version")
        statement = to_statement(file)
        need(all(set(one) == {"key_id", "signature"} for one in file["signature"]), "a signature has other fields")
        signatures = [
            wire.new("Signature", key_id=unhex(one["key_id"]), signature=base64.b64decode(one["signature"], validate=True))
            for one in file["signature"]
        ]
    except (tomllib.TOMLDecodeError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise Refused("BAD_ENCODING", f"trust.toml: {error}") from None
    payload = wire.encode("Trust", statement)
    forms.read("trust", payload)
    network = statement["head"]["network"]
    named = (statement["log_origin"], statement["directory_origin"])
    need(named == origins(network, statement["genesis_sha256"]), "an origin does not follow from network and genesis")
    profile.read_roots(statement["roots"], network)
    for witness in statement["witnesses"]:
        tree.VerifierKey.parse(witness)
    tree.VerifierKey(statement["directory_origin"], 1, statement["directory_key"])
    signers = sealing.authority_signers(statement["authority"], statement["authority_threshold"], signatures)
    sealing.dsse_verify("application/vnd.ecowire.trust.v1+protobuf", payload, signers, signatures)
    return statement


def log_key(statement):
    return tree.VerifierKey(statement["log_origin"], 1, statement["log_key"])
