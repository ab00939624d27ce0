"""Protobuf without a library: reads and writes the messages of proto/ecowire/v1, whose field tables it takes from there.

`decode` is as lenient as the wire format; `canonical` accepts the one encoding only (SPEC 3). A message is a dict with
every field: numbers, str, bytes, lists, and None for a submessage that is absent.
"""

import re
from pathlib import Path

PROTO = Path(__file__).resolve().parents[3] / "proto" / "ecowire" / "v1"
SCALARS = {"uint32", "uint64", "bool", "string", "bytes"}
MESSAGES = {}
ENUMS = {}


class WireError(Exception):
    """Bytes that are no message of their type, or not in its one encoding."""


class Field:
    def __init__(self, number, kind, name, repeated):
        self.number, self.kind, self.name, self.repeated = number, kind, name, repeated

    @property
    def is_message(self):
        return self.kind in MESSAGES

    @property
    def is_long(self):
        return self.is_message or self.kind in ("string", "bytes")

    def default(self):
        if self.repeated:
            return []
        if self.is_message:
            return None
        return {"string": "", "bytes": b"", "bool": False}.get(self.kind, 0)


def load(folder=PROTO):
    """Fills the tables from the proto files: one message, enum or field a line, as they are written."""
    for path in sorted(folder.glob("*.proto")):
        block = None
        for line in path.read_text().splitlines():
            line = line.split("//")[0].strip()
            if opened := re.fullmatch(r"(message|enum) (\w+) \{(\})?", line):
                block = None if opened[3] else opened[2]
                (MESSAGES if opened[1] == "message" else ENUMS)[opened[2]] = {}
            elif line == "}":
                block = None
            elif block in ENUMS and (value := re.fullmatch(r"(\w+) = (\d+);", line)):
                ENUMS[block][int(value[2])] = value[1]
            elif block in MESSAGES and (entry := re.fullmatch(r"map<(\w+), (\w+)> (\w+) = (\d+);", line)):
                name = f"{block}.{entry[3]}"
                MESSAGES[name] = {1: Field(1, entry[1], "key", False), 2: Field(2, entry[2], "value", False)}
                MESSAGES[block][int(entry[4])] = Field(int(entry[4]), name, entry[3], True)
            elif block in MESSAGES and (field := re.fullmatch(r"(repeated )?(\w+) (\w+) = (\d+);", line)):
                number = int(field[4])
                MESSAGES[block][number] = Field(number, field[2], field[3], bool(field[1]))
    for name, fields in MESSAGES.items():
        for field in fields.values():
            if field.kind not in SCALARS and field.kind not in MESSAGES and field.kind not in ENUMS:
                raise WireError(f"{name}.{field.name} has the unknown type {field.kind}")


def new(name, /, **values):
    """A message with the given fields and the rest at their defaults."""
    message = {field.name: field.default() for field in MESSAGES[name].values()}
    for key in values:
        if key not in message:
            raise WireError(f"{name} has no field {key}")
    return message | values


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def read_varint(data, at):
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireError("a varint is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                raise WireError("a varint has more than 64 bits")
            return value, at
    raise WireError("a varint has more than ten bytes")


def encode(name, message):
    """The one encoding: fields ascending, defaults left out, repeated numbers packed."""
    out = bytearray()
    for number, field in sorted(MESSAGES[name].items()):
        value = message[field.name]
        if field.repeated and not field.is_long:
            if value:
                packed = b"".join(varint(int(one)) for one in value)
                out += varint(number << 3 | 2) + varint(len(packed)) + packed
            continue
        for one in value if field.repeated else ([] if value == field.default() else [value]):
            if not field.is_long:
                out += varint(number << 3) + varint(int(one))
                continue
            body = encode(field.kind, one) if field.is_message else one.encode() if field.kind == "string" else bytes(one)
            out += varint(number << 3 | 2) + varint(len(body)) + body
    return bytes(out)


def _scalar(field, value):
    if field.kind == "bool":
        return value != 0
    return value if field.kind == "uint64" else value & 0xFFFFFFFF


def _long(field, body, depth, before):
    if field.is_message:
        merged = decode(field.kind, body, depth + 1)
        if before is None or field.repeated:
            return merged
        raise WireError(f"{field.name} stands twice")
    if field.kind == "bytes":
        return body
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise WireError(f"{field.name} is no utf-8") from None


def decode(name, data, depth=0):
    """Reads a message; unknown fields are skipped, the last of a doubled scalar counts."""
    if depth > 16:
        raise WireError("messages are nested too deep")
    message, fields, at = new(name), MESSAGES[name], 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if not 1 <= number < 1 << 29:
            raise WireError("a field has no valid number")
        if wire == 0:
            value, at = read_varint(data, at)
        elif wire in (1, 5):
            value, at = None, at + (8 if wire == 1 else 4)
        elif wire == 2:
            length, at = read_varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            raise WireError("groups are not known here")
        if at > len(data):
            raise WireError("a field is cut short")
        field = fields.get(number)
        if field is None:
            continue
        if field.is_long != (wire == 2) and not (field.repeated and wire == 2) or wire in (1, 5):
            raise WireError(f"{field.name} has another wire type")
        if not field.is_long and wire == 2:
            inner = 0
            while inner < len(value):
                one, inner = read_varint(value, inner)
                message[field.name].append(_scalar(field, one))
            continue
        value = _long(field, value, depth, message[field.name]) if field.is_long else _scalar(field, value)
        if field.repeated:
            message[field.name].append(value)
        else:
            message[field.name] = value
    return message


def canonical(name, data):
    """Reads the one encoding (SPEC 3)."""
    message = decode(name, data)
    if encode(name, message) != data:
        raise WireError(f"{name} is not in canonical form")
    return message


load()
