"""The one acceptance rule for ECDSA over P-256 with SHA-256 (SPEC 1). Keys here are for vectors, never for secrets."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .ed25519 import SignatureRefused

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
SHA256 = ec.ECDSA(hashes.SHA256())
DETERMINISTIC = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def check_point(public):
    """Rule 1: uncompressed, coordinates below p, on the curve."""
    if len(public) != 65 or public[0] != 4:
        raise SignatureRefused("a P-256 key is an uncompressed point of 65 bytes")
    x, y = (int.from_bytes(half, "big") for half in (public[1:33], public[33:]))
    if x >= P or y >= P:
        raise SignatureRefused("a coordinate is not below p")
    try:
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise SignatureRefused("the point is not on the curve") from None


def verify(public, message, signature):
    """Accepts or raises."""
    if len(signature) != 64:
        raise SignatureRefused("a signature has 64 bytes")
    key = check_point(public)
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    if not 1 <= r < N:
        raise SignatureRefused("r is 0 or not below the group order")
    if not 1 <= s <= (N - 1) // 2:
        raise SignatureRefused("s is 0 or above half the group order")
    try:
        key.verify(encode_dss_signature(r, s), message, SHA256)
    except InvalidSignature:
        raise SignatureRefused("the equation does not hold") from None


def key_id(public):
    """SHA-256 of the SubjectPublicKeyInfo."""
    return hashlib.sha256(SPKI_PREFIX + public).digest()


class Key:
    """A signing key."""

    def __init__(self, private):
        self.private = private
        self.public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @classmethod
    def of_number(cls, number):
        return cls(ec.derive_private_key(number, ec.SECP256R1()))

    def sign(self, message):
        """r || s with a low s; the same with every run."""
        r, s = decode_dss_signature(self.private.sign(message, DETERMINISTIC))
        return r.to_bytes(32, "big") + min(s, N - s).to_bytes(32, "big")
