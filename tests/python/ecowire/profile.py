"""Certificates: the profile, and judging a chain (SPEC 4). Revocation is not looked at here."""

import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519 as ed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from . import ed25519, forms, sealing

POLICY = "2.25.42764217148282855839617354971243445474"
USAGES = {"Tls": [ExtendedKeyUsageOID.CLIENT_AUTH], "NodeTls": [ExtendedKeyUsageOID.SERVER_AUTH], "Identity": []}
BITS = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign",
)
READ = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName, x509.CertificatePolicies)


class ProfileError(Exception):
    """A certificate or chain that breaks the profile."""


def need(sound, why):
    if not sound:
        raise ProfileError(why)


class Certificate:
    """What the profile asks about."""

    def __init__(self, der):
        need(1 <= len(der) <= 8192, "size")
        try:
            self.x509 = cert = x509.load_der_x509_certificate(der)
            spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            need(cert.version is x509.Version.v3, "version")
            found = {type(one.value): one.value for one in cert.extensions}
            unknown = [one for one in cert.extensions if one.critical and not isinstance(one.value, READ)]
            subject, _ = list(cert.subject), list(cert.issuer)
            self.begin, self.end = cert.not_valid_before_utc.timestamp(), cert.not_valid_after_utc.timestamp()
            algorithm, serial = cert.signature_algorithm_oid, cert.serial_number
        except ProfileError:
            raise
        except Exception as error:  # the library has a kind of error for every field, and reads some of them late
            raise ProfileError(f"malformed: {error}") from None
        need(not unknown, "critical extension")
        need(algorithm == SignatureAlgorithmOID.ECDSA_WITH_SHA256, "signature algorithm")
        need(0 < serial < 1 << 160, "serial")
        self.key, self.key_sha256 = cert.public_key(), hashlib.sha256(spki).digest()
        if isinstance(self.key, ed.Ed25519PublicKey):
            try:
                ed25519.check_point(self.key.public_bytes_raw())
            except ed25519.SignatureRefused as error:
                raise ProfileError(str(error)) from None
        else:
            need(isinstance(self.key, ec.EllipticCurvePublicKey) and self.key.curve.name == "secp256r1", "key")
        constraints, usage = found.get(x509.BasicConstraints), found.get(x509.KeyUsage)
        self.is_ca = bool(constraints and constraints.ca)
        self.path_length = constraints.path_length if constraints else None
        self.bits = {bit for bit in BITS if usage and getattr(usage, bit)}
        self.usage = list(found.get(x509.ExtendedKeyUsage, []))
        self.policy = any(one.policy_identifier.dotted_string == POLICY for one in found.get(x509.CertificatePolicies, []))
        names = list(found.get(x509.SubjectAlternativeName, []))
        uris = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
        self.hosts = sum(isinstance(name, (x509.DNSName, x509.IPAddress)) for name in names)
        self.others = len(names) - len(uris) - self.hosts
        need(len(uris) == 1, "not one uri")
        self.uri = uris[0]
        only = len(subject) == 1 and subject[0].oid == NameOID.COMMON_NAME
        self.subject = "" if not subject else subject[0].value if only else None

    @property
    def is_p256(self):
        return isinstance(self.key, ec.EllipticCurvePublicKey)

    @property
    def public(self):
        """32 bytes of Ed25519, 65 of P-256."""
        if self.is_p256:
            return self.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return self.key.public_bytes_raw()


def leaf_address(cert, role, network):
    need(not cert.is_ca, "a ca never authenticates")
    need(cert.others == 0 and (cert.hosts == 0 or role == "NodeTls"), "another san")
    prefix = f"spiffe://{network}/"
    need(cert.uri.startswith(prefix), "another network")
    address = cert.uri[len(prefix) :]
    try:
        kind = forms.address_class(address)
    except forms.Refused as error:
        raise ProfileError(str(error)) from None
    need(kind != "GROUP" and (kind == "NODE") == (role == "NodeTls"), "class and role")
    need(cert.usage == USAGES[role] and cert.policy == (role == "Identity"), "usage or policy")
    need(cert.bits == {"digital_signature"}, "key usage")
    need(cert.is_p256 or role == "Identity", "key of another role")
    need(cert.subject in ("", address), "subject")
    return address


def ca_scope(cert, network):
    """'' for the root, 'node', a country or a sub-bureau."""
    need(cert.is_ca and "key_cert_sign" in cert.bits and not cert.usage and not cert.policy, "no ca")
    need(cert.is_p256 and cert.others + cert.hosts == 0 and cert.subject, "key, san or subject of a ca")
    prefix = f"spiffe://{network}"
    need(cert.uri == prefix or cert.uri.startswith(prefix + "/"), "another network")
    scope = cert.uri[len(prefix) + 1 :]
    need(cert.uri == prefix or scope, "spelling")
    kind = ""
    if scope not in ("", "node"):
        try:
            kind = forms.address_class(scope)
        except forms.Refused as error:
            raise ProfileError(str(error)) from None
        need(kind in ("NCB", "SUB_BUREAU"), "spelling")
    need(scope == "" or cert.path_length == 0 or (kind == "NCB" and cert.path_length == 1), "path length")
    return scope


def may_issue_ca(issuer, subject):
    if issuer == "":
        return subject == "node" or ("/" not in subject and subject != "")
    return len(issuer) == 2 and subject.startswith(issuer + "/")


def may_issue_leaf(issuer, address):
    if issuer == "":
        return address.split("/")[0] in ("ipsg", "svc", "org", "aud")
    if issuer == "node":
        return address.startswith("node/")
    own = address == issuer or address.startswith(issuer + "/")
    return own or (len(issuer) == 2 and address == f"aud/{issuer}")


def read_roots(roots, network):
    """The certificates of 1 to 4 roots of the network, each with a key of its own."""
    anchors = [Certificate(der) for der in roots]
    need(1 <= len(anchors) <= 4 and all(ca_scope(anchor, network) == "" for anchor in anchors), "no root")
    need(len({anchor.key_sha256 for anchor in anchors}) == len(anchors), "a root's key stands twice")
    return anchors


def judge(role, chain, roots, network, now_ms):
    """The address and digests that a chain (leaf first, root left out) stands for."""
    need(1 <= len(chain) <= 4, "chain length")
    leaf, *cas = path = [Certificate(der) for der in chain]
    address = leaf_address(leaf, role, network)
    scopes = [ca_scope(ca, network) for ca in cas]
    anchors = read_roots(roots, network)
    root = next((one for one in anchors if one.x509.subject == path[-1].x509.issuer and signs(one, path[-1])), None)
    need(root is not None, "no path to a root")
    for below, above in zip(path, path[1:]):
        need(above.x509.subject == below.x509.issuer and signs(above, below), "the list is not the path")
    for cert in [*path, root]:
        need(cert.begin <= now_ms // 1000 <= cert.end, "time")
    issuers = [*scopes, ""]
    need(may_issue_leaf(issuers[0], address), "outside the subtree")
    need(all(may_issue_ca(above, below) for below, above in zip(issuers, issuers[1:])), "outside the subtree")
    for below, ca in enumerate([*cas, root]):
        need(ca.path_length is None or below <= ca.path_length, "path length")
    keys = [cert.key_sha256 for cert in [*path, root]]
    need(len(set(keys)) == len(keys), "a key stands twice")
    return {"address": address, "key_id": leaf.key_sha256, "chain_sha256": sealing.chain_sha256(chain)}


def signs(issuer, subject):
    if not issuer.is_p256:
        return False
    try:
        data = subject.x509.tbs_certificate_bytes
        issuer.key.verify(subject.x509.signature, data, ec.ECDSA(hashes.SHA256()))
        return True
    except InvalidSignature:
        return False
