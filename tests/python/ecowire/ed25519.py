"""The one acceptance rule for Ed25519 (SPEC 1), and the curve itself: for making odd vectors, never for secrets."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
SMALL_ORDER_Y = {
    0,
    1,
    P - 1,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
}


class SignatureRefused(Exception):
    """The rule that a key or signature breaks."""


def check_point(point):
    """Rules 1 and 2: canonical, and not of small order."""
    if len(point) != 32:
        raise SignatureRefused("a point has 32 bytes")
    number = int.from_bytes(point, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    if y >= P or (sign and y in (1, P - 1)):
        raise SignatureRefused("the point is not canonically encoded")
    if y in SMALL_ORDER_Y:
        raise SignatureRefused("the point is of small order")


def verify(public, message, signature):
    """Accepts or raises."""
    if len(signature) != 64:
        raise SignatureRefused("a signature has 64 bytes")
    check_point(public)
    check_point(signature[:32])
    if int.from_bytes(signature[32:], "little") >= L:
        raise SignatureRefused("the scalar is not below the group order")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise SignatureRefused("the equation does not hold") from None


def public_of(seed):
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def key_id(public):
    """SHA-256 of the SubjectPublicKeyInfo."""
    return hashlib.sha256(SPKI_PREFIX + public).digest()


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P)
    return x % P, y % P


def multiply(scalar, point):
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def compress(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decompress(data):
    number = int.from_bytes(data, "little")
    y, sign_bit = number & (1 << 255) - 1, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        raise SignatureRefused("no point of the curve")
    return (P - x if x & 1 != sign_bit else x), y


BASE = decompress(bytes.fromhex("58" + "66" * 31))


def challenge(r, public, message):
    return int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L
