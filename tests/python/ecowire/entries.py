"""Slots, bodies, leaves, openings and receipts (SPEC 7)."""

import hmac

from . import forms, tree, wire
from .wire import ENUMS

MESSAGE = 2
TABLES = {MESSAGE: tuple(range(10)), 3: (0, 1, 2), 4: (0, 1, 2), 9: (0, 1, 7), 23: (0, 1, 7), 18: (0, 1, 2)}
REPEATED = {MESSAGE: {7}, 9: (7,), 23: (7,)}
COUNT_MAX = 512
# Kinds from here on are critical: who does not know one must not go on.
CRITICAL_FROM = 0x8000


class EntryError(Exception):
    """A leaf, an opening or a receipt that does not hold."""


def need(sound, why):
    if not sound:
        raise EntryError(why)


def slot_hash(kind, tag, sub, salt, value):
    head = b"".join(number.to_bytes(2, "big") for number in (1, kind, tag, sub))
    return tree.sha256(b"\0ecowire/1 slot\0", head, salt, len(value).to_bytes(4, "big"), value)


def salt_of(seed, tag, sub):
    return hmac.digest(seed, tag.to_bytes(2, "big") + sub.to_bytes(2, "big"), "sha256")[:16]


def layout(kind, slots):
    """Every (tag, sub) of an entry, in order; the counts stand in `slots`."""
    out = []
    for tag in TABLES.get(kind, (0, 1)):
        last = 0
        if tag in REPEATED.get(kind, ()):
            value = slots.get((tag, 0), b"")
            last = int.from_bytes(value, "big")
            need(len(value) == 4 and last <= COUNT_MAX, f"slot {tag} has no count")
        out += [(tag, sub) for sub in range(last + 1)]
    return out


def check_kind(kind, slots, later=False):
    """`later`: a kind without a name is taken, too, unless it is critical."""
    named = kind in ENUMS["EntryKind"] or (later and kind < CRITICAL_FROM)
    need(named and kind != 0, f"kind {kind} is not known")
    need(slots.get((0, 0)) == kind.to_bytes(2, "big"), "slot 0 does not name the kind")


def leaf_bytes(kind, at_ms, body):
    return b"\0\1" + (1 if kind == MESSAGE else 2).to_bytes(2, "big") + at_ms.to_bytes(8, "big") + body


def read_leaf(leaf):
    """(class, at_ms, body)."""
    need(len(leaf) == 44 and leaf[:4] in (b"\0\1\0\1", b"\0\1\0\2"), "no leaf of version 1")
    return leaf[3], int.from_bytes(leaf[4:12], "big"), leaf[12:]


def body_of_opening(data):
    """(kind, slots, body) of an opening's stored bytes."""
    opening = wire.canonical("Opening", data)
    need(opening["version"] == 1, "another version")
    kind, seed = opening["kind"], opening["seed"]
    need(len(seed) == 32, "the seed has not 32 bytes")
    ids = [(slot["tag"], slot["sub"]) for slot in opening["slots"]]
    need(ids == sorted(set(ids)) and all(max(one) < 1 << 16 for one in ids), "the slots are out of order")
    need(all(slot["value"] for slot in opening["slots"]), "an empty slot is written out")
    slots = {(slot["tag"], slot["sub"]): slot["value"] for slot in opening["slots"]}
    check_kind(kind, slots, later=True)
    places = layout(kind, slots)
    need(set(slots) <= set(places), "a slot is not in the table of the kind")
    for tag in REPEATED.get(kind, ()):
        count = int.from_bytes(slots[tag, 0], "big")
        need(count == sum(1 for one in slots if one[0] == tag and one[1]), "the count is not the number of values")
    hashes = [slot_hash(kind, tag, sub, salt_of(seed, tag, sub), slots.get((tag, sub), b"")) for tag, sub in places]
    return kind, slots, tree.root(hashes)


def body_of_disclosed(disclosed, siblings):
    """(kind, slots, body) of the slots and hashes in a receipt."""
    ids = [(slot["tag"], slot["sub"]) for slot in disclosed]
    need(ids and ids[0] == (0, 0) and ids == sorted(set(ids)), "the slots are out of order")
    need(all(len(slot["salt"]) == 16 for slot in disclosed), "a salt has not 16 bytes")
    slots = {(slot["tag"], slot["sub"]): slot["value"] for slot in disclosed}
    kind = int.from_bytes(slots[0, 0], "big")
    check_kind(kind, slots)
    places = {one: at for at, one in enumerate(layout(kind, slots))}
    need(set(slots) <= set(places), "a slot is not in the table of the kind")
    hashes = [
        (places[slot["tag"], slot["sub"]], slot_hash(kind, slot["tag"], slot["sub"], slot["salt"], slot["value"]))
        for slot in disclosed
    ]
    return kind, slots, tree.root_from_siblings(len(places), hashes, siblings)


def verify_receipt(data, key):
    """slots -> body -> leaf -> path -> root -> note. Gives a dict of what is proved."""
    need(len(data) <= forms.MAX["receipt"], "the receipt is too large")
    receipt = wire.decode("Receipt", data)
    position = receipt["position"]
    need(position is not None and position["log"] == 0, "no position in log 0")
    leaf_class, at_ms, body = read_leaf(receipt["leaf"])
    kind, slots, found = body_of_disclosed(receipt["slots"], receipt["siblings"])
    need(found == body, "the slots are not those of the leaf")
    need(leaf_class == (1 if kind == MESSAGE else 2), "the leaf has another class")
    size, root = tree.open_checkpoint(receipt["checkpoint"], key)
    tree.verify_inclusion(tree.leaf_hash(receipt["leaf"]), position["index"], size, receipt["path"], root)
    return {"index": position["index"], "kind": kind, "at_ms": at_ms, "slots": slots, "size": size, "root": root}


def make_receipt(kind, seed, slots, at_ms, shown, before, after, origin, log_seed):
    """(receipt, opening) of an entry between the leaf hashes `before` and `after`."""
    places = layout(kind, slots)
    salts = {one: salt_of(seed, *one) for one in places}
    hashes = [slot_hash(kind, *one, salts[one], slots.get(one, b"")) for one in places]
    leaf = leaf_bytes(kind, at_ms, tree.root(hashes))
    leaves = [*before, tree.leaf_hash(leaf), *after]
    counts = {(tag, 0) for tag in REPEATED.get(kind, ())} | {(0, 0)}
    visible = [at for at, one in enumerate(places) if one in counts or one in shown]
    disclosed = [
        wire.new("DisclosedSlot", tag=places[at][0], sub=places[at][1], salt=salts[places[at]], value=slots.get(places[at], b""))
        for at in visible
    ]
    note = tree.sign_note(tree.checkpoint_text(origin, len(leaves), tree.root(leaves)), [(origin, log_seed)])
    receipt = wire.new(
        "Receipt", position=wire.new("Position", index=len(before)), leaf=leaf, slots=disclosed,
        siblings=tree.siblings(hashes, visible), path=tree.inclusion(leaves, len(before)), checkpoint=note,
    )
    stored = [wire.new("Slot", tag=tag, sub=sub, value=value) for (tag, sub), value in sorted(slots.items()) if value]
    opening = wire.new("Opening", version=1, kind=kind, seed=seed, slots=stored)
    return wire.encode("Receipt", receipt), wire.encode("Opening", opening)
