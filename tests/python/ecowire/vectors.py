"""Checks the files of tests/vectors: <check>_good.json and <check>_bad.json, with python_ before what Python made."""

import json
from pathlib import Path

from . import ed25519, entries, forms, p256, profile, sealing, tree, trust, wire
from .forms import Refused

ERRORS = (
    Refused, wire.WireError, tree.ProofError, entries.EntryError, ed25519.SignatureRefused, profile.ProfileError,
)


def raw(text):
    return bytes.fromhex(text)


def hashes(texts):
    return [raw(text) for text in texts]


def address(case):
    kind = forms.address_class(case["text"])
    return {"class": kind, "own_ncb": forms.own_ncb(case["text"]) or "", "spiffe_id": f"spiffe://ecowire.test/{case['text']}"}


def network(case):
    forms.check_network(case["text"])
    return {}


def reference(case):
    sender, year, series, number = forms.parse_reference(case["text"])
    text = forms.reference_text(sender, year, series, number)
    return {"sender": sender, "year": year, "series": series, "number": number, "canonical": text}


def canonical(case):
    data = raw(case["bytes"])
    if case["type"] == "header":
        forms.read_header(data, "ecowire.test")
    else:
        forms.read(case["type"], data)
    return {}


def ed25519_rule(case):
    ed25519.verify(raw(case["public"]), raw(case["message"]), raw(case["signature"]))
    return {}


def p256_rule(case):
    p256.verify(raw(case["public"]), raw(case["message"]), raw(case["signature"]))
    return {}


def key_id(case):
    public = raw(case["public"])
    if case["kem"] == 0:
        return {"key_id": sealing.key_id(public).hex()}
    return {"key_id": sealing.encryption_key_id(case["kem"], public).hex()}


def chain_digest(case):
    return {"sha256": sealing.chain_sha256(hashes(case["chain"])).hex()}


def signatures_of(case):
    return [wire.new("Signature", key_id=raw(key), signature=raw(value)) for key, value in case["signatures"]]


def signers_of(case):
    return [(raw(key), raw(public)) for key, public in case["signers"]]


def dsse(case):
    payload = raw(case["payload"])
    sealing.dsse_verify(case["payload_type"], payload, signers_of(case), signatures_of(case))
    return {"pae": sealing.pae(case["payload_type"], payload).hex()}


def statement(case):
    signers = signers_of(case) if case["signers"] else None
    name, _ = sealing.read_statement(raw(case["signed"]), signers)
    return {"name": name}


def padding(case):
    return {"padded": sealing.padded_len(case["length"])}


def message(case):
    submission = wire.decode("Submission", raw(case["submission"]))
    identities = {raw(key): (owner, sealing.alg_of(raw(public)), raw(public)) for key, owner, public in case["identities"]}
    header, context = sealing.verify_submission(submission, case["network"], case["peer"], identities)
    signed = submission["signed"]
    return {
        "message_id": sealing.message_id(signed["header"]).hex(),
        "context_hash": sealing.context_hash(header["context"]).hex(),
        "reference": forms.reference_text(*(context[field] for field in ("sender", "year", "series", "number"))),
        "signatures_sha256": sealing.signatures_sha256(signed["signatures"]).hex(),
        "sealed_sha256": sealing.sealed_sha256(header["wraps_root"], submission["content"]).hex(),
    }


def delivery(case):
    header_bytes, path = raw(case["header"]), hashes(case["wrap_path"])
    seeds, content = hashes(case["seeds"]), raw(case["content"])
    opened = sealing.open_delivery(case["me"], seeds, header_bytes, case["network"], raw(case["wrap"]), path, content)
    body, cek, hashed = opened
    header, _ = forms.read_header(header_bytes, case["network"])
    plain = [
        sealing.open_chunks(cek, hashed, at, reference, hashes(chunks)).hex()
        for at, (reference, chunks) in enumerate(zip(header["attachments"], case["chunks"], strict=True))
    ]
    return {"media_type": body["media_type"], "body": body["content"].hex(), "cek": cek.hex(), "attachments": plain}


def opening(case):
    kind, slots, body = entries.body_of_opening(raw(case["opening"]))
    leaf = entries.leaf_bytes(kind, case["at_ms"], body)
    return {"kind": kind, "body": body.hex(), "leaf": leaf.hex(), "leaf_hash": tree.leaf_hash(leaf).hex()}


def receipt(case):
    proved = entries.verify_receipt(raw(case["receipt"]), tree.VerifierKey.parse(case["log_key"]))
    slots = {f"{tag}.{sub}": value.hex() for (tag, sub), value in proved["slots"].items()}
    return {field: proved[field] for field in ("index", "kind", "at_ms", "size")} | {"root": proved["root"].hex(), "slots": slots}


def root(case):
    leaves = [tree.leaf_hash(at.to_bytes(8, "big")) for at in range(case["size"])]
    return {"root": tree.root(leaves).hex()}


def inclusion(case):
    tree.verify_inclusion(raw(case["leaf"]), case["index"], case["size"], hashes(case["path"]), raw(case["root"]))
    return {}


def consistency(case):
    roots = raw(case["old_root"]), raw(case["root"])
    tree.verify_consistency(case["old_size"], roots[0], case["size"], roots[1], hashes(case["path"]))
    return {}


def disclosure(case):
    shown = [(index, raw(one)) for index, one in case["shown"]]
    found = tree.root_from_siblings(case["count"], shown, hashes(case["siblings"]))
    if found != raw(case["root"]):
        raise tree.ProofError("the siblings lead to another root")
    return {}


def verifier_key(case):
    key = tree.VerifierKey.parse(case["text"])
    return {"name": key.name, "id": key.id.hex(), "algorithm": key.algorithm, "public": key.public.hex(), "again": str(key)}


def note(case):
    text, names = tree.verify_note(raw(case["note"]), [tree.VerifierKey.parse(one) for one in case["keys"]])
    return {"text": text, "signed_by": names}


def checkpoint(case):
    size, found = tree.open_checkpoint(raw(case["note"]), tree.VerifierKey.parse(case["key"]))
    return {"size": size, "root": found.hex()}


def trust_file(case):
    statement = trust.parse(case["toml"])
    return {"log_key": str(trust.log_key(statement)), "sha256": tree.sha256(wire.encode("Trust", statement)).hex()}


def chain(case):
    judged = profile.judge(case["role"], hashes(case["chain"]), hashes(case["roots"]), case["network"], case["now_ms"])
    return {"address": judged["address"], "key_id": judged["key_id"].hex(), "chain_sha256": judged["chain_sha256"].hex()}


CHECKS = {
    "address": address, "network": network, "reference": reference, "canonical": canonical, "ed25519": ed25519_rule,
    "p256": p256_rule,
    "key_id": key_id, "chain_digest": chain_digest, "dsse": dsse, "statement": statement, "padding": padding,
    "message": message, "delivery": delivery, "opening": opening, "receipt": receipt, "root": root,
    "inclusion": inclusion, "consistency": consistency, "disclosure": disclosure, "verifier_key": verifier_key,
    "note": note, "checkpoint": checkpoint, "trust": trust_file, "chain": chain,
}


def outcome(check, case):
    """(found values or None, the refusal's name)."""
    try:
        return CHECKS[check](case), ""
    except ERRORS as error:
        return None, getattr(error, "name", "")


def judge(check, expected, case):
    """Why a case fails; None when it passes."""
    found, refusal = outcome(check, case)
    if expected == "bad":
        if found is not None:
            return "was accepted"
        wanted = case.get("refusal", refusal)
        return None if refusal == wanted else f"was refused as {refusal!r}, not {wanted!r}"
    if found is None:
        return f"was refused {refusal}"
    wrong = [field for field, value in case.get("gives", {}).items() if found.get(field) != value]
    return f"gives another {', '.join(wrong)}" if wrong or set(found) != set(case.get("gives", {})) else None


def check_folder(folder):
    """(passed, failures as texts)."""
    passed, failures = 0, []
    paths = sorted(Path(folder).glob("*.json"))
    for path in paths:
        check, expected = path.stem.removeprefix("python_").rsplit("_", 1)
        if check not in CHECKS or expected not in ("good", "bad"):
            failures.append(f"{path.name}: no such check")
            continue
        for case in json.loads(path.read_text()):
            why = judge(check, expected, case)
            if why is None:
                passed += 1
            else:
                failures.append(f"{path.name}: {case.get('what', '')}: {why}")
    return passed, failures if paths else ["no vectors found"]
