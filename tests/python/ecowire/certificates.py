"""Certificates by the profile of SPEC 4, and such that break it: for vectors only, every key is from a fixed number."""

from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .profile import POLICY

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
USAGES = {"Tls": ExtendedKeyUsageOID.CLIENT_AUTH, "NodeTls": ExtendedKeyUsageOID.SERVER_AUTH}
BITS = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)


def p256(number):
    return ec.derive_private_key(number, ec.SECP256R1())


def ed(seed):
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


class Ca:
    """A CA of the profile; `path` is '' for the root."""

    def __init__(self, path, number, issuer=None, path_length=0, **odd):
        self.key, self.issuer = p256(number), issuer
        common = odd.pop("common", f"DEV {path or 'root'}")
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        uri = odd.pop("uri", f"spiffe://ecowire.test/{path}" if path else "spiffe://ecowire.test")
        bits = odd.pop("bits", {"key_cert_sign", "crl_sign"})
        constraints = x509.BasicConstraints(True, path_length)
        self.der = build(issuer or self, self.key, self.name, uri, bits, [(constraints, True)], **odd)

    def leaf(self, address, role, key, **odd):
        """A leaf of the role."""
        name = odd.pop("subject", [x509.NameAttribute(NameOID.COMMON_NAME, address)])
        extensions = odd.pop("extensions", [])
        if odd.pop("policy", role == "Identity"):
            extensions = [*extensions, (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(POLICY), None)]), False)]
        usages = odd.pop("usages", [USAGES[role]] if role in USAGES else [])
        if usages:
            extensions = [*extensions, (x509.ExtendedKeyUsage(usages), False)]
        uri = odd.pop("uri", f"spiffe://ecowire.test/{address}")
        bits = odd.pop("bits", {"digital_signature"})
        return build(self, key, x509.Name(name), uri, bits, extensions, **odd)


def build(issuer, key, name, uri, bits, extensions, names=(), days=365, serial=None, begin=BEGIN):
    usage = x509.KeyUsage(**{bit: bit in bits for bit in BITS})
    uris = [x509.UniformResourceIdentifier(one) for one in ([uri] if isinstance(uri, str) else uri)]
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(issuer.name).public_key(key.public_key())
        .serial_number(serial or 1 + int.from_bytes(hashes_of(str(uri), str(name)), "big"))
        .not_valid_before(begin).not_valid_after(begin + timedelta(days=days)).add_extension(usage, True)
    )
    if uris or names:
        builder = builder.add_extension(x509.SubjectAlternativeName([*uris, *names]), not list(name))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer.key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def hashes_of(*texts):
    digest = hashes.Hash(hashes.SHA256())
    digest.update("\0".join(texts).encode())
    return digest.finalize()[:8]
