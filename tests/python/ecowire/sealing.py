"""DSSE, key ids, HPKE wraps and content: what a sender makes and a recipient opens (SPEC 4 and 6)."""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import ed25519, forms, mlkem, p256, tree, wire
from .forms import Refused
from .tree import sha256

X_WING = 25722
HEADER_TYPE = "application/vnd.ecowire.header.v1+protobuf"
ZERO_NONCE = bytes(12)


def message_id(header):
    return sha256(b"ecowire/1 message\0", header)


def context_hash(context):
    return sha256(b"ecowire/1 context\0", context)


def encryption_key_id(kem, public):
    return sha256(b"ecowire/1 key\0", kem.to_bytes(2, "big"), len(public).to_bytes(4, "big"), public)


def chain_sha256(chain):
    return sha256(b"ecowire/1 chain\0", *(len(der).to_bytes(4, "big") + der for der in chain))


def signatures_sha256(signatures):
    parts = (one["key_id"] + len(one["signature"]).to_bytes(4, "big") + one["signature"] for one in signatures)
    return sha256(b"ecowire/1 signatures\0", *parts)


def sealed_sha256(root, content):
    """`root` is that of the wraps tree."""
    return sha256(b"ecowire/1 sealed\0", root, len(content).to_bytes(8, "big"), content)


def wraps_root(wraps):
    return tree.root([tree.leaf_hash(wrap) for wrap in wraps])


def pae(kind, payload):
    return f"DSSEv1 {len(kind.encode())} {kind} {len(payload)} ".encode() + payload


def public_of(key):
    """The public half of a signing key: a seed of Ed25519, or a p256.Key."""
    return key.public if isinstance(key, p256.Key) else ed25519.public_of(key)


def algorithm(public):
    """The module of a public key: its length tells the algorithm."""
    return p256 if len(public) == 65 else ed25519


def alg_of(public):
    """The number of SigAlg."""
    return 2 if len(public) == 65 else 1


def key_id(public):
    return algorithm(public).key_id(public)


def dsse_sign(kind, payload, keys):
    def sign(key):
        return key.sign(pae(kind, payload)) if isinstance(key, p256.Key) else ed25519.sign(key, pae(kind, payload))

    return [wire.new("Signature", key_id=key_id(public_of(key)), signature=sign(key)) for key in keys]


def dsse_verify(kind, payload, signers, signatures):
    """`signers` are (key id, public): exactly these, in this order, each once."""
    ids = [key for key, _ in signers]
    if not signers or ids != [one["key_id"] for one in signatures] or len(set(ids)) != len(ids):
        raise Refused("BAD_SIGNATURE", "not one signature for each signer, in order")
    for (_, public), one in zip(signers, signatures):
        try:
            algorithm(public).verify(public, pae(kind, payload), one["signature"])
        except ed25519.SignatureRefused as error:
            raise Refused("BAD_SIGNATURE", str(error)) from None


def authority_signers(authority, threshold, signatures):
    """The keys of the authority that the signatures name; at least the threshold, nobody else's."""
    known = {ed25519.key_id(key["public"]): key["public"] for key in authority}
    if any(one["key_id"] not in known for one in signatures) or len(signatures) < max(threshold, 1):
        raise Refused("BAD_SIGNATURE", "too few keys of the authority, or a foreign one")
    return [(one["key_id"], known[one["key_id"]]) for one in signatures]


def read_statement(signed_bytes, signers):
    """(name, statement) of a signed statement; `signers` None: by the authority that it names itself."""
    signed = forms.read("signed_statement", signed_bytes)
    name = forms.STATEMENTS[signed["kind"]]
    statement = forms.read(name, signed["statement"])
    if signers is None:
        signers = authority_signers(statement["authority"], statement["authority_threshold"], signed["signatures"])
    dsse_verify(f"application/vnd.ecowire.{name}.v1+protobuf", signed["statement"], signers, signed["signatures"])
    return name, statement


def hkdf_extract(salt, ikm):
    return hmac.digest(salt, ikm, "sha256")


def hkdf_expand(prk, info, length):
    out, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        out += block
    return out[:length]


def derive(cek, context, info):
    return hkdf_expand(hkdf_extract(context, cek), info, 32)


def hpke_key(shared, info):
    """Key and nonce of HPKE base mode, X-Wing, HKDF-SHA256, AES-256-GCM (RFC 9180 5.1)."""
    suite = b"HPKE" + X_WING.to_bytes(2, "big") + b"\0\1\0\2"

    def extract(salt, label, ikm):
        return hkdf_extract(salt, b"HPKE-v1" + suite + label + ikm)

    def expand(prk, label, info, length):
        return hkdf_expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    return expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)


def wrap_info(context, commitment, index, address, key):
    raw = address.encode()
    number, length = index.to_bytes(4, "big"), len(raw).to_bytes(2, "big")
    return b"ecowire/1 wrap\0" + context + commitment + number + length + raw + key


def padded_len(length):
    if length <= 256:
        return 256
    exponent = length.bit_length() - 1
    mask = (1 << exponent - exponent.bit_length()) - 1
    return length + mask & ~mask


def pad(body):
    return (len(body).to_bytes(4, "big") + body).ljust(padded_len(4 + len(body)), b"\0")


def check_body(body):
    sound = all(" " <= char <= "~" for char in body["media_type"]) and 1 <= len(body["media_type"]) <= 127
    if not sound or len(body["content"]) > forms.MAX["content"]:
        raise Refused("Body")


def unpad(plain):
    length = int.from_bytes(plain[:4], "big")
    if len(plain) < 4 + length or len(plain) != padded_len(4 + length) or any(plain[4 + length :]):
        raise Refused("Body", "padding")
    try:
        body = wire.canonical("SealedBody", plain[4 : 4 + length])
    except wire.WireError:
        raise Refused("Body", "encoding") from None
    check_body(body)
    return body


def seal(context, media_type, content, publics, seeds, coins, attachments=(), forged=None):
    """(Submission, chunks of each attachment). `coins(n)` gives n random bytes; attachments are (chunk_log2, plain).

    `forged` may hold a false `commitment` or `plain`, for vectors that must be refused.
    """
    body, forged = wire.new("SealedBody", media_type=media_type, content=content), forged or {}
    check_body(body)
    encoded = wire.encode("Context", context)
    forms.read("context", encoded)
    hashed, cek = context_hash(encoded), coins(32)
    commitment = forged.get("commitment") or derive(cek, hashed, b"ecowire/1 commitment")
    plain = forged.get("plain") or pad(wire.encode("SealedBody", body))
    cipher = AESGCM(derive(cek, hashed, b"ecowire/1 content"))
    sealed = cipher.encrypt(ZERO_NONCE, plain, hashed)
    wraps = []
    for index, (address, public) in enumerate(zip(context["recipients"], publics, strict=True)):
        key = encryption_key_id(X_WING, public)
        shared, enc = mlkem.xwing_encapsulate(public, coins(64))
        hpke, nonce = hpke_key(shared, wrap_info(hashed, commitment, index, address, key))
        wrap = wire.new("Wrap", index=index, key_id=key, kem=X_WING, enc=enc, ct=AESGCM(hpke).encrypt(nonce, cek, b""))
        wraps.append(wire.encode("Wrap", wrap))
    made = [seal_chunks(cek, hashed, at, log2, plain) for at, (log2, plain) in enumerate(attachments)]
    header = wire.encode("Header", wire.new(
        "Header", context=encoded, key_commitment=commitment, content_sha256=sha256(sealed), content_size=len(sealed),
        wraps_root=wraps_root(wraps), attachments=[reference for reference, _ in made],
    ))
    forms.read("header", header)
    signed = wire.new("SignedHeader", header=header, signatures=dsse_sign(HEADER_TYPE, header, seeds))
    return wire.new("Submission", signed=signed, wraps=wraps, content=sealed), [chunks for _, chunks in made]


def verify_submission(submission, network, peer, identities):
    """What the gateway checks before the rules: identities are {key id: (address, alg, public)}. Gives (header, context)."""
    if submission["signed"] is None:
        raise Refused("BAD_ENCODING", "signed is absent")
    signed, wraps, content = submission["signed"], submission["wraps"], submission["content"]
    if len(content) > forms.MAX["ciphertext"]:
        raise Refused("TOO_LARGE", "content")
    header, context = forms.read_header(signed["header"], network)
    forms.need(len(wraps) <= len(context["recipients"]), "more wraps than recipients")
    read = [forms.read("wrap", wrap) for wrap in wraps]
    if peer != context["sender"]:
        raise Refused("NOT_SENDER", "the connection is another's")
    signers = []
    for at, one in enumerate(context["signers"]):
        found = identities.get(one["key_id"])
        if found is None or (at == 0 and found[0] != context["sender"]):
            raise Refused("NOT_SENDER", "a signing key is not enrolled, or the first is another's")
        if found[1] != one["alg"]:
            raise Refused("BAD_SIGNATURE", "another algorithm")
        signers.append((one["key_id"], found[2]))
    in_order = [wrap["index"] for wrap in read] == list(range(len(context["recipients"])))
    if not in_order or wraps_root(wraps) != header["wraps_root"]:
        raise Refused("BAD_COMMITMENT", "wraps")
    if len(content) != header["content_size"] or sha256(content) != header["content_sha256"]:
        raise Refused("BAD_COMMITMENT", "content")
    dsse_verify(HEADER_TYPE, signed["header"], signers, signed["signatures"])
    return header, context


def open_delivery(me, seeds, header_bytes, network, wrap_bytes, path, content):
    """(body, cek, context hash), or a Refused with the name of the step."""
    header, context = forms.read_header(header_bytes, network)
    hashed = context_hash(header["context"])
    if me not in context["recipients"]:
        raise Refused("NotRecipient")
    index = context["recipients"].index(me)
    try:
        wrap = forms.read("wrap", wrap_bytes)
        size, leaf = len(context["recipients"]), tree.leaf_hash(wrap_bytes)
        tree.verify_inclusion(leaf, index, size, path, header["wraps_root"])
    except (Refused, tree.ProofError) as error:
        raise Refused("Wrap", str(error)) from None
    if wrap["index"] != index:
        raise Refused("Wrap", "index")
    keys = {encryption_key_id(X_WING, mlkem.xwing_keys(seed)[2]): seed for seed in seeds}
    if wrap["key_id"] not in keys:
        raise Refused("Key")
    info = wrap_info(hashed, header["key_commitment"], index, me, wrap["key_id"])
    try:
        if wrap["kem"] != X_WING:
            raise Refused("Unwrap", "another kem")
        key, nonce = hpke_key(mlkem.xwing_decapsulate(keys[wrap["key_id"]], wrap["enc"]), info)
        cek = AESGCM(key).decrypt(nonce, wrap["ct"], b"")
    except (InvalidTag, ValueError):
        raise Refused("Unwrap") from None
    return open_content(cek, header, hashed, content), cek, hashed


def open_content(cek, header, hashed, content):
    if not hmac.compare_digest(derive(cek, hashed, b"ecowire/1 commitment"), header["key_commitment"]):
        raise Refused("Commitment")
    if len(content) != header["content_size"] or sha256(content) != header["content_sha256"]:
        raise Refused("Content")
    try:
        plain = AESGCM(derive(cek, hashed, b"ecowire/1 content")).decrypt(ZERO_NONCE, content, hashed)
    except InvalidTag:
        raise Refused("Content") from None
    return unpad(plain)


def _chunk(cek, hashed, index):
    return AESGCM(derive(cek, hashed, b"ecowire/1 attachment\0" + index.to_bytes(4, "big")))


def _nonce(at, last):
    return at.to_bytes(11, "big") + bytes([last])


def seal_chunks(cek, hashed, index, log2, plain):
    """(AttachmentRef, chunks)."""
    cipher = _chunk(cek, hashed, index)
    # A list is taken as the pieces themselves, for chunks that must be refused.
    pieces = plain if isinstance(plain, list) else [plain[at : at + (1 << log2)] for at in range(0, len(plain), 1 << log2)]
    chunks = [cipher.encrypt(_nonce(at, at + 1 == len(pieces)), piece, hashed) for at, piece in enumerate(pieces)]
    total, root = sum(map(len, chunks)), tree.root([tree.leaf_hash(chunk) for chunk in chunks])
    return wire.new("AttachmentRef", chunk_log2=log2, ciphertext_size=total, chunks_root=root), chunks


def open_chunks(cek, hashed, index, reference, chunks):
    root = tree.root([tree.leaf_hash(chunk) for chunk in chunks])
    if not 1 <= len(chunks) <= 4096 or sum(map(len, chunks)) != reference["ciphertext_size"] or root != reference["chunks_root"]:
        raise Refused("Root")
    cipher, plain = _chunk(cek, hashed, index), b""
    for at, chunk in enumerate(chunks):
        last = at + 1 == len(chunks)
        try:
            piece = cipher.decrypt(_nonce(at, last), chunk, hashed)
        except (InvalidTag, ValueError):
            raise Refused("Chunk") from None
        full = 1 << reference["chunk_log2"]
        if not piece or len(piece) > full or (not last and len(piece) != full):
            raise Refused("Chunk")
        plain += piece
    return plain
