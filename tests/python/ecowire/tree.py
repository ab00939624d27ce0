"""RFC 6962 trees, their proofs, and the C2SP texts over them: notes, verifier keys, checkpoints (SPEC 7)."""

import base64
import binascii
import hashlib
import re

from . import ed25519


class ProofError(Exception):
    """A proof that proves nothing, or a note that is not to be believed."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(data):
    return sha256(b"\0", data)


def node_hash(left, right):
    return sha256(b"\1", left, right)


def split(count):
    return 1 << (count - 1).bit_length() - 1


def root(hashes):
    if not hashes:
        return sha256()
    if len(hashes) == 1:
        return hashes[0]
    middle = split(len(hashes))
    return node_hash(root(hashes[:middle]), root(hashes[middle:]))


def inclusion(hashes, index):
    if len(hashes) == 1:
        return []
    middle = split(len(hashes))
    if index < middle:
        return inclusion(hashes[:middle], index) + [root(hashes[middle:])]
    return inclusion(hashes[middle:], index - middle) + [root(hashes[:middle])]


def consistency(hashes, old, whole=True):
    if old == 0:
        return []
    if old == len(hashes):
        return [] if whole else [root(hashes)]
    middle = split(len(hashes))
    if old <= middle:
        return consistency(hashes[:middle], old, whole) + [root(hashes[middle:])]
    return consistency(hashes[middle:], old - middle, False) + [root(hashes[:middle])]


def check_hashes(path):
    if any(len(one) != 32 for one in path):
        raise ProofError("a hash has 32 bytes")


def root_from_inclusion(leaf, index, size, path):
    """By recursion over the tree's shape, from the root down."""
    check_hashes([leaf, *path])
    if index >= size:
        raise ProofError("the leaf is beyond the tree")

    def climb(index, size, path):
        if size == 1:
            if path:
                raise ProofError("the path is too long")
            return leaf
        if not path:
            raise ProofError("the path is too short")
        middle, sibling = split(size), path[-1]
        if index < middle:
            return node_hash(climb(index, middle, path[:-1]), sibling)
        return node_hash(sibling, climb(index - middle, size - middle, path[:-1]))

    return climb(index, size, list(path))


def verify_inclusion(leaf, index, size, path, wanted):
    if root_from_inclusion(leaf, index, size, path) != wanted:
        raise ProofError("the path leads to another root")


def verify_consistency(old, old_root, size, new_root, path):
    check_hashes([old_root, new_root, *path])
    if old > size:
        raise ProofError("the old tree is larger")
    if old == 0 or old == size:
        right = old_root == (sha256() if old == 0 else new_root)
        if path or not right or (size == 0 and new_root != sha256()):
            raise ProofError("the roots are not those of these sizes")
        return

    def walk(old, size, path, whole):
        if old == size:
            if whole:
                if path:
                    raise ProofError("the path is too long")
                return old_root, old_root
            if len(path) != 1:
                raise ProofError("the path has another length")
            return path[0], path[0]
        if not path:
            raise ProofError("the path is too short")
        middle, sibling = split(size), path[-1]
        if old <= middle:
            before, after = walk(old, middle, path[:-1], whole)
            return before, node_hash(after, sibling)
        before, after = walk(old - middle, size - middle, path[:-1], False)
        return node_hash(sibling, before), node_hash(sibling, after)

    if walk(old, size, list(path), True) != (old_root, new_root):
        raise ProofError("the path leads to other roots")


def siblings(hashes, shown):
    """Roots of the largest subtrees without a shown leaf, left to right."""
    if not hashes:
        return []
    if not shown:
        return [root(hashes)]
    if len(hashes) == 1:
        return []
    middle = split(len(hashes))
    left, right = [i for i in shown if i < middle], [i - middle for i in shown if i >= middle]
    return siblings(hashes[:middle], left) + siblings(hashes[middle:], right)


def root_from_siblings(count, shown, hashes):
    """`shown` is a list of (index, hash), ascending; all of `hashes` must be used."""
    check_hashes([*hashes, *(one for _, one in shown)])
    indices = [index for index, _ in shown]
    if count > 4096 or indices != sorted(set(indices)) or any(not 0 <= index < count for index in indices):
        raise ProofError("the shown leaves are out of order or range")
    rest = list(hashes)

    def fold(start, count, shown):
        if not shown:
            if not rest:
                raise ProofError("a sibling is missing")
            return rest.pop(0)
        if count == 1:
            return shown[0][1]
        middle = split(count)
        left = fold(start, middle, [one for one in shown if one[0] < start + middle])
        right = fold(start + middle, count - middle, [one for one in shown if one[0] >= start + middle])
        return node_hash(left, right)

    found = fold(0, count, shown) if count else sha256()
    if rest:
        raise ProofError("a sibling is left over")
    return found


def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProofError("no base64") from None
    if base64.b64encode(data).decode() != text:
        raise ProofError("no canonical base64")
    return data


def decimal(text):
    if not re.fullmatch(r"0|[1-9][0-9]*", text) or int(text) >= 1 << 64:
        raise ProofError(f"{text!r} is no canonical decimal")
    return int(text)


class VerifierKey:
    """name+id+base64(algorithm || public)."""

    def __init__(self, name, algorithm, public):
        if not name or "+" in name or any(char.isspace() or char < " " for char in name):
            raise ProofError("no key name")
        if algorithm not in (1, 4) or len(public) != 32:
            raise ProofError("another algorithm")
        ed25519.check_point(public)
        self.name, self.algorithm, self.public = name, algorithm, public
        self.id = sha256(name.encode(), b"\n", bytes([algorithm]), public)[:4]

    @classmethod
    def parse(cls, text):
        parts = text.split("+", 2)
        if len(parts) != 3 or not re.fullmatch(r"[0-9a-f]{8}", parts[1]):
            raise ProofError("no verifier key")
        raw = unbase64(parts[2])
        if not raw:
            raise ProofError("no verifier key")
        key = cls(parts[0], raw[0], raw[1:])
        if key.id.hex() != parts[1]:
            raise ProofError("the id is not that of the key")
        return key

    def __str__(self):
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.algorithm]) + self.public).decode()}"

    def verify(self, text, signature):
        if self.algorithm == 1:
            return ed25519.verify(self.public, text.encode(), signature)
        if len(signature) != 72 or int.from_bytes(signature[:8], "big") >= 1 << 63:
            raise ProofError("no cosignature")
        time = int.from_bytes(signature[:8], "big")
        return ed25519.verify(self.public, f"cosignature/v1\ntime {time}\n{text}".encode(), signature[8:])


def parse_note(data):
    """(text, [(name, id, signature)])."""
    if len(data) > 65536:
        raise ProofError("the note is too long")
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise ProofError("the note is no utf-8") from None
    if any(char < " " and char != "\n" for char in note):
        raise ProofError("the note has a control character")
    end = note.rfind("\n\n")
    if end < 0 or not note.endswith("\n") or end + 2 >= len(note):
        raise ProofError("the note is unsigned")
    text, lines = note[: end + 1], note[end + 2 : -1].split("\n")
    if len(lines) > 16:
        raise ProofError("the note has more than 16 signatures")
    signatures = []
    for line in lines:
        match = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
        if not match or "+" in match[1] or any(char.isspace() for char in match[1]):
            raise ProofError("no signature line")
        raw = unbase64(match[2])
        if len(raw) < 5:
            raise ProofError("no signature line")
        signatures.append((match[1], raw[:4], raw[4:]))
    return text, signatures


def verify_note(data, keys):
    """(text, names of the known keys that signed, in order); every known key's signature must hold."""
    text, signatures = parse_note(data)
    signed = []
    for name, key_id, signature in signatures:
        known = [key for key in keys if (key.name, key.id) == (name, key_id)]
        if not known:
            continue
        if len(known) > 1 or known[0] in signed:
            raise ProofError("a key occurs twice")
        known[0].verify(text, signature)
        signed.append(known[0])
    if not signed:
        raise ProofError("no known key signed")
    return text, [key.name for key in signed]


def sign_note(text, signers):
    """`signers` are (name, seed)."""
    out = text + "\n"
    for name, seed in signers:
        key = VerifierKey(name, 1, ed25519.public_of(seed))
        signature = key.id + ed25519.sign(seed, text.encode())
        out += f"\u2014 {name} {base64.b64encode(signature).decode()}\n"
    return out.encode()


def open_checkpoint(data, key):
    """(size, root) of the log whose key this is."""
    text, _ = verify_note(data, [key])
    lines = text.split("\n")
    if lines.pop() != "" or len(lines) < 3 or "" in lines:
        raise ProofError("a line of the checkpoint is missing or empty")
    origin, size, found = lines[0], decimal(lines[1]), unbase64(lines[2])
    if origin != key.name or len(found) != 32:
        raise ProofError("a checkpoint of another log")
    return size, found


def checkpoint_text(origin, size, root_hash):
    return f"{origin}\n{size}\n{base64.b64encode(root_hash).decode()}\n"
