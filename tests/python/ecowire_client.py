"""A client of a gateway, written from SPEC.md and the proto files alone: grpcio and `cryptography`, none of the Rust code.

Its stubs are compiled when it starts. TLS: grpcio shows a client nothing of the server's certificate, so the node's
chain is fetched by a connection of its own, judged (SPEC 4), and its leaf becomes the only root of the gRPC channel.
It keeps nothing on disk: it is there to show that the text suffices, not to be a post's client.
"""

import importlib
import queue
import socket
import ssl
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from google.protobuf.message import Message

import ecowire
from ecowire import entries, forms, mlkem, p256, profile, sealing, tree, trust, wire

TIMEOUT_S = 20
# Handling that a stub keeps.
H2 = 3
BUSY_TRIES = 20
# A page of Snapshot holds one statement at least, and a genesis may have 32 MiB.
CHANNEL = [("grpc.max_receive_message_length", 34 << 20), ("grpc.enable_retries", 0)]
GOOGLE_RPC = """syntax = "proto3";
package google.rpc;
import "google/protobuf/any.proto";
message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
"""


class Unsound(Exception):
    """What the gateway says is not what it proves."""


class Refusal(Exception):
    """A refusal: its name and metadata, and the gRPC code (None on a stream)."""

    def __init__(self, name, metadata, code, text):
        super().__init__(f"{name}: {text}")
        self.name, self.metadata, self.code = name, metadata, code


def need(sound, why):
    if not sound:
        raise Unsound(why)


def escalation(context):
    """Who is told when it is not acknowledged (SPEC 11): 2 its bureau and ipsg/ccc, 1 its bureau, 0 nobody."""
    alert, query, query_result, void, urgent, flash = 5, 9, 10, 24, 2, 3
    kind, priority = context["kind"], context["priority"]
    if context["exercise"] or kind in (query, query_result, void):
        return 0
    return 2 if kind == alert or priority == flash else int(priority == urgent)


def compile_stubs(folder):
    """The generated modules of proto/ecowire/v1, made in `folder`."""
    from grpc_tools import protoc

    folder, protos = Path(folder), wire.PROTO.parents[1]
    (folder / "google_rpc.proto").write_text(GOOGLE_RPC)
    files = [str(path) for path in sorted(wire.PROTO.glob("*.proto"))]
    well_known = str(Path(protoc.__file__).parent / "_proto")
    options = [f"-I{protos}", f"-I{folder}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", *options, *files, str(folder / "google_rpc.proto")]) != 0:
        raise RuntimeError("the proto files do not compile")
    sys.path.append(str(folder))
    ecowire.__path__.append(str(folder / "ecowire"))
    pb = SimpleNamespace(rpc=importlib.import_module("google_rpc_pb2"))
    for name in ("ledger", "messages", "statements", "services"):
        module = importlib.import_module(f"ecowire.v1.{name}_pb2")
        vars(pb).update({key: value for key, value in vars(module).items() if not key.startswith("_") and key != "DESCRIPTOR"})
    pb.grpc = importlib.import_module("ecowire.v1.services_pb2_grpc")
    return pb


def canonical(name, message):
    """The message as the small reader knows it, encoded by Google's library in the one encoding (SPEC 3), or an error."""
    return wire.canonical(name, message.SerializeToString(deterministic=True) if isinstance(message, Message) else message)


def refusal_of(pb, error):
    """The ErrorInfo in `grpc-status-details-bin`; the error itself when there is none."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    for one in pb.rpc.Status.FromString(details or b"").details:
        if one.type_url == "type.googleapis.com/google.rpc.ErrorInfo":
            info = pb.rpc.ErrorInfo.FromString(one.value)
            need(info.domain == "ecowire", "another domain")
            return Refusal(info.reason, dict(info.metadata), error.code(), error.details())
    return error


def read_chain(path):
    return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(path.read_bytes())]


def judge_node(address, trusted, folder):
    """The node that listens at `address`, and its leaf in PEM: its chain is judged, its name is one of the trust file's."""
    host, port = address.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The chain is judged below, by the network's own rules; the handshake proves that the key is held.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder / "tls.pem", folder / "tls.key")
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as plain, context.wrap_socket(plain) as stream:
        need(stream.selected_alpn_protocol() == "h2", "the server does not speak h2")
        # Python 3.13 has it on the socket itself.
        chain = getattr(stream, "get_unverified_chain", None) or stream._sslobj.get_unverified_chain
        ders = [one if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in chain()]
    network = trusted["head"]["network"]
    node = profile.judge("NodeTls", ders, trusted["roots"], network, now_ms())["address"]
    need(node in trusted["nodes"], f"{node} is no node of the trust file")
    return node, ssl.DER_cert_to_PEM_cert(ders[0]).encode()


def now_ms():
    return time.time_ns() // 1_000_000


class Directory:
    """The directory, statement by statement (SPEC 7 and 8): leaf 0 is the genesis of the trust file."""

    def __init__(self, trusted):
        self.trusted, self.network = trusted, trusted["head"]["network"]
        self.key = tree.VerifierKey(trusted["directory_origin"], 1, trusted["directory_key"])
        self.hashes, self.participants, self.identities, self.keys = [], {}, {}, {}
        self.chains, self.owners, self.policy, self.head = {}, {}, None, None

    def add(self, leaf):
        if self.hashes:
            self._keys(leaf)
        else:
            self._genesis(leaf)
        self.hashes.append(tree.leaf_hash(leaf))

    def _genesis(self, leaf):
        need(tree.sha256(leaf) == self.trusted["genesis_sha256"], "another genesis")
        name, genesis = sealing.read_statement(leaf, None)
        need(name == "genesis" and genesis["head"]["network"] == self.network, "no genesis of this network")
        self.policy = genesis["policy"]
        cas = [der for one in genesis["participants"] for der in one["identity_chain"][1:]]
        authorities = {profile.Certificate(der).key_sha256 for der in {*genesis["roots"], *cas}}
        for one in genesis["participants"]:
            judged = profile.judge("Identity", one["identity_chain"], genesis["roots"], self.network, genesis["head"]["created_ms"])
            need(judged["address"] == one["address"] and judged["key_id"] not in self.identities, "another's identity")
            public = profile.Certificate(one["identity_chain"][0]).public
            need(sealing.alg_of(public) in (genesis["policy"]["identity_algs"] or [1]), "a kind of key that the policy does not allow")
            need(judged["key_id"] not in authorities, "a CA's key")
            self.participants[one["address"]] = one | {"key": (judged["key_id"], public), "chain": judged["chain_sha256"]}
            self.identities[judged["key_id"]] = (one["address"], public)

    def _keys(self, leaf):
        signed = forms.read("signed_statement", leaf)
        need(forms.STATEMENTS[signed["kind"]] == "keys", "a statement that does not belong here")
        statement = forms.read("keys", signed["statement"])
        head = statement["head"]
        issuer = self.participants.get(head["issuer"])
        need(head["network"] == self.network and issuer is not None and issuer["state"] in (2, 3), "by nobody who is enrolled")
        sealing.read_statement(leaf, [issuer["key"]])
        seq, digest = self.chains.get(head["issuer"], (0, b""))
        need((head["seq"], head["prev_sha256"]) == (seq + 1, digest), "not the next statement of its chain")
        need(statement["cert_chain_sha256"] == issuer["chain"], "by another certificate")
        for key in statement["keys"]:
            key_id = sealing.encryption_key_id(key["kem"], key["public"])
            owner, state = self.owners.get(key_id, (head["issuer"], 0))
            need(key["kem"] in self.policy["kems"] and owner == head["issuer"] and state <= key["state"], "a key that must not be")
        for key in self.keys.get(head["issuer"], []):
            self.owners[sealing.encryption_key_id(key["kem"], key["public"])] = (head["issuer"], 3)
        for key in statement["keys"]:
            self.owners[sealing.encryption_key_id(key["kem"], key["public"])] = (head["issuer"], key["state"])
        self.keys[head["issuer"]] = statement["keys"]
        self.chains[head["issuer"]] = (head["seq"], tree.sha256(signed["statement"]))

    def bind(self, note, head, log):
        """Ties the whole directory to its signed note, and that by a Head entry into the log."""
        found = (len(self.hashes), tree.root(self.hashes))
        need(tree.open_checkpoint(note, self.key) == found, "the statements do not lead to the directory's checkpoint")
        proved = log.verify(head)
        need(proved["kind"] == 17, "no Head entry")
        named = wire.canonical("Head", proved["slots"][1, 0])
        need((named["directory_size"], named["directory_root"]) == found, "the Head entry names another directory")
        self.head = found + (proved["at_ms"],)

    def current_key(self, address):
        """The public X-Wing key that messages to `address` are sealed for."""
        usable = [key["public"] for key in self.keys.get(address, []) if (key["kem"], key["state"]) == (sealing.X_WING, 1)]
        need(bool(usable), f"{address} has no current key")
        return usable[0]


class Log:
    """Receipts under checkpoints of one log, each tied by a proof to the largest one seen."""

    def __init__(self, key, consistency):
        self.key, self._consistency, self.size, self.root = key, consistency, 0, tree.sha256()

    def verify(self, receipt):
        """What a receipt proves, under a checkpoint that belongs to the same log as every other one."""
        proved = entries.verify_receipt(receipt, self.key)
        self.meet(proved["size"], proved["root"])
        return proved

    def meet(self, size, root, path=None):
        """Takes a checkpoint: a larger one replaces the one held, a smaller one must be a beginning of it."""
        (old, old_root), (new, new_root) = sorted([(self.size, self.root), (size, root)], key=lambda one: one[0])
        if path is None:
            path = [] if old in (0, new) else self._consistency(old, new)
        tree.verify_consistency(old, old_root, new, new_root, path)
        self.size, self.root = new, new_root


class Client:
    """One participant at one gateway. `folder` holds tls.pem, tls.key, identity.pem and identity.key."""

    def __init__(self, pb, address, trust_path, folder):
        self.pb, folder = pb, Path(folder)
        self.trusted = trust.parse(Path(trust_path).read_text())
        self.network = self.trusted["head"]["network"]
        private = load_pem_private_key((folder / "identity.key").read_bytes(), None)
        self.seed = p256.Key(private) if isinstance(private, ec.EllipticCurvePrivateKey) else private.private_bytes_raw()
        self.chain = read_chain(folder / "identity.pem")
        judged = profile.judge("Identity", self.chain, self.trusted["roots"], self.network, now_ms())
        need(judged["key_id"] == sealing.key_id(sealing.public_of(self.seed)), "identity.key is another's")
        self.me, self.key_id, self.seeds = judged["address"], judged["key_id"], []
        self.tls_chain, self.sequence = read_chain(folder / "tls.pem"), {}
        self.node, leaf = judge_node(address, self.trusted, folder)
        credentials = grpc.ssl_channel_credentials(leaf, (folder / "tls.key").read_bytes(), (folder / "tls.pem").read_bytes())
        self.channel = grpc.secure_channel(address, credentials, options=CHANNEL)
        self.messages, self.directory_service = pb.grpc.MessagesStub(self.channel), pb.grpc.DirectoryStub(self.channel)
        self.audit = pb.grpc.AuditStub(self.channel)
        self.log = Log(trust.log_key(self.trusted), self._consistency)
        self.directory = Directory(self.trusted)

    def close(self):
        self.channel.close()

    def call(self, method, request):
        """A unary call; a refusal is raised by its name."""
        try:
            return method(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise refusal_of(self.pb, error) from None

    def stream(self, method, request):
        """All responses of a call that ends by itself."""
        try:
            return list(method(request, timeout=TIMEOUT_S))
        except grpc.RpcError as error:
            raise refusal_of(self.pb, error) from None

    def _consistency(self, old, new):
        return list(self.call(self.audit.Consistency, self.pb.ConsistencyRequest(from_size=old, to_size=new)).path)

    def update_directory(self):
        """Replays what is new in the directory; the last page binds it into the log."""
        while True:
            page = self._page(len(self.directory.hashes))
            for leaf in page.statements:
                self.directory.add(leaf)
            need(len(self.directory.hashes) <= page.size, "the directory has shrunk")
            if len(self.directory.hashes) == page.size:
                return self.directory.bind(page.checkpoint, page.head, self.log)
            need(len(page.statements) > 0, "an empty page")

    def _page(self, from_size):
        """A page of Snapshot; BUSY while the directory's newest head is being written."""
        for _ in range(BUSY_TRIES - 1):
            try:
                return self.call(self.directory_service.Snapshot, self.pb.SnapshotRequest(from_size=from_size))
            except Refusal as refusal:
                if refusal.name != "BUSY":
                    raise
                time.sleep(0.1)
        return self.call(self.directory_service.Snapshot, self.pb.SnapshotRequest(from_size=from_size))

    # --- statements ---

    def head(self, name, expires_ms=0):
        seq, digest = self.sequence.get(name, (0, b""))
        head = self.pb.StatementHead(version=1, network=self.network, issuer=self.me, subject=self.me)
        head.seq, head.prev_sha256, head.created_ms, head.expires_ms = seq + 1, digest, now_ms(), expires_ms
        return head

    def sign(self, name, statement, seed=None):
        """A SignedStatement of a kind; the chain moves on when it is taken."""
        kind = forms.TYPES[name][2]
        payload = statement.SerializeToString(deterministic=True)
        forms.read(name, payload)
        [one] = sealing.dsse_sign(f"application/vnd.ecowire.{name}.v1+protobuf", payload, [seed or self.seed])
        signature = self.pb.Signature(key_id=one["key_id"], signature=one["signature"])
        return self.pb.SignedStatement(kind=kind, statement=payload, signatures=[signature])

    def note_taken(self, signed):
        name = forms.STATEMENTS[signed.kind]
        self.sequence[name] = (self.sequence.get(name, (0, b""))[0] + 1, tree.sha256(signed.statement))

    def publish(self, signed):
        """Publishes a statement; its receipt shows all slots, the first of which is the statement as it was sent."""
        answer = self.call(self.directory_service.PublishStatement, self.pb.PublishStatementRequest(statement=signed))
        proved = self.log.verify(answer.receipt)
        need(proved["slots"][1, 0] == signed.SerializeToString(deterministic=True), "the receipt of another statement")
        return proved

    def keys_statement(self, states=None):
        """The KEYS statement of this client's seeds; a new key at first."""
        if not self.seeds:
            self.seeds.append(ssl.RAND_bytes(32))
        statement = self.pb.KeyStatement(head=self.head("keys"), cert_chain_sha256=sealing.chain_sha256(self.chain))
        for at, seed in enumerate(self.seeds):
            state = (states or {}).get(at, self.pb.KEY_STATE_CURRENT)
            statement.keys.add(kem=self.pb.KEM_ID_X_WING, public=mlkem.xwing_keys(seed)[2], state=state)
        return self.sign("keys", statement)

    def mailbox_statement(self, name, items):
        """DELIVERED or ACKNOWLEDGED of (number, message id)."""
        statement = self.pb.MailboxStatement(head=self.head(name), at_ms=now_ms(), clock=self.pb.CLOCK_QUALITY_NTP)
        statement.checkpoint_size = self.log.size
        for seq, message_id in items:
            statement.items.add(mailbox_seq=seq, message_id=message_id)
        return self.sign(name, statement)

    # --- messages ---

    def context(self, kind, recipients, number, **fields):
        """A context under the directory's head; `fields` replace what it would say."""
        size, root, _ = self.directory.head
        created = now_ms()
        context = self.pb.Context(
            version=1, network=self.network, sender=self.me, year=time.gmtime(created // 1000).tm_year, series=1, number=number,
            signers=[self.pb.SignerRef(key_id=self.key_id, alg=sealing.alg_of(sealing.public_of(self.seed)))], recipients=recipients, kind=kind,
            priority=self.pb.PRIORITY_ROUTINE, classification=self.pb.CLASSIFICATION_RESTRICTED, handling=self.pb.HANDLING_H1,
            created_ms=created, expires_ms=created + self.directory.policy["lifetime_max_ms"], clock=self.pb.CLOCK_QUALITY_NTP,
            content_suite=self.pb.CONTENT_SUITE_AES_256_GCM, directory_size=size, directory_root=root,
            deny_digest=ssl.RAND_bytes(32), ipsg_opt_out=self.pb.OPT_OUT_NONE,
        )
        for name, value in fields.items():
            if isinstance(value, Message):
                getattr(context, name).CopyFrom(value)
            else:
                setattr(context, name, value)
        return context

    def seal(self, context, content, media_type="text/plain", keys=None, seed=None):
        """A Submission; `keys` replaces the directory's by address."""
        publics = [(keys or {}).get(address) or self.directory.current_key(address) for address in context.recipients]
        parts = canonical("Context", context)
        submission, _ = sealing.seal(parts, media_type, content, publics, [seed or self.seed], ssl.RAND_bytes)
        return self.pb.Submission.FromString(wire.encode("Submission", submission))

    def submit(self, submission):
        """Submits and checks the receipt against what was sent (SPEC 7)."""
        answer = self.call(self.messages.Submit, self.pb.SubmitRequest(submission=submission))
        need(answer.tag == submission.tag, "another tag")
        return self.check_own(submission, answer.receipt)

    def check_own(self, submission, receipt):
        """What a receipt proves of a submission of this client's."""
        header, _ = forms.read_header(submission.signed.header, self.network)
        proved = self.log.verify(receipt)
        slots, shown = proved["slots"], {*((tag, 0) for tag in range(9))}
        need(proved["kind"] == entries.MESSAGE and set(slots) == shown, "not what a sender is shown")
        need(slots[1, 0] == submission.signed.header, "the receipt of another message")
        need(slots[2, 0] == sealing.signatures_sha256(self._signatures(submission.signed)), "another set of signatures")
        judged = wire.canonical("Judged", slots[3, 0])
        need(judged["identity_chains_sha256"] == [sealing.chain_sha256(self.chain)], "judged by another identity")
        need(judged["tls_chain_sha256"] == sealing.chain_sha256(self.tls_chain), "judged by another certificate")
        need(slots[4, 0] == tree.sha256(self.tls_chain[0]), "another fingerprint")
        self.check_slots(header, slots, submission.signed.header)
        need(slots[8, 0] == sealing.sealed_sha256(header["wraps_root"], submission.content), "another sealed digest")
        return proved

    def check_slots(self, header, slots, header_bytes):
        """Slots 5, 6 and the count of 7, which sender and recipients see alike."""
        context = forms.read("context", header["context"])
        need(wire.canonical("Decision", slots[5, 0]) == wire.new("Decision", rules_version=2, policy_position=1, available=True), "decision")
        stub = wire.canonical("Stub", slots[6, 0])
        own = {name: context[name] for name in ("sender", "year", "series", "number", "priority", "expires_ms")}
        own |= {"message_id": sealing.message_id(header_bytes), "retention_class": stub["retention_class"]}
        own |= {"handling": H2 if context["handling"] == H2 else 0, "escalation": escalation(context)}
        need(stub == wire.new("Stub", **own), "another stub")
        need(int.from_bytes(slots[7, 0], "big") == len(context["recipients"]), "another number of places")

    @staticmethod
    def _signatures(signed):
        return [{"key_id": one.key_id, "signature": one.signature} for one in signed.signatures]

    def verify_delivery(self, delivery):
        """What stands behind a delivery: receipt, own place, signatures (SPEC 6 and 7); gives (header, context, proved)."""
        header, context = forms.read_header(delivery.signed.header, self.network)
        proved = self.log.verify(delivery.receipt)
        slots, at = proved["slots"], context["recipients"].index(self.me) + 1
        need(proved["kind"] == entries.MESSAGE and set(slots) == {*((tag, 0) for tag in range(9)), (7, at)}, "not what a recipient is shown")
        need((delivery.position.log, delivery.position.index) == (0, proved["index"]), "another position")
        need(slots[1, 0] == delivery.signed.header, "the receipt of another message")
        signatures = self._signatures(delivery.signed)
        need(slots[2, 0] == sealing.signatures_sha256(signatures), "another set of signatures")
        self.check_slots(header, slots, delivery.signed.header)
        place = wire.canonical("Place", slots[7, at])
        need(place == wire.new("Place", address=self.me, mailbox_seq=delivery.mailbox_seq), "another place")
        need(slots[8, 0] == sealing.sealed_sha256(header["wraps_root"], delivery.content), "another sealed digest")
        signers = []
        for number, one in enumerate(context["signers"]):
            owner, public = self.directory.identities.get(one["key_id"], (None, None))
            need(owner is not None and one["alg"] == sealing.alg_of(public) and (number > 0 or owner == context["sender"]), "signed by somebody else")
            signers.append((one["key_id"], public))
        sealing.dsse_verify(sealing.HEADER_TYPE, delivery.signed.header, signers, signatures)
        return header, context, proved

    def open(self, delivery, seeds=None):
        """(media type, content) of a delivery that was verified."""
        path = list(delivery.wrap_path)
        parts = (delivery.signed.header, self.network, delivery.wrap, path, delivery.content)
        body, _, _ = sealing.open_delivery(self.me, self.seeds if seeds is None else seeds, *parts)
        return body["media_type"], body["content"]

    def check_mailbox_head(self, head):
        """The mailbox's last number, proved by the entry that took it; 0 when nothing ever arrived."""
        if head.last_seq == 0:
            need(not head.receipt, "a receipt of nothing")
            return 0
        proved = self.log.verify(head.receipt)
        [at] = [sub for tag, sub in proved["slots"] if tag == 7 and sub > 0]
        need(proved["kind"] == entries.MESSAGE and set(proved["slots"]) == {(0, 0), (7, 0), (7, at)}, "more than the place")
        place = wire.canonical("Place", proved["slots"][7, at])
        need(place == wire.new("Place", address=self.me, mailbox_seq=head.last_seq), "another place")
        return head.last_seq

    def status(self, number, series=1, year=None):
        request = self.pb.StatusRequest(year=year or time.gmtime().tm_year, series=series, number=number)
        return self.call(self.messages.Status, request)


class Mailbox:
    """One Receive stream: start first, then credit and statements; responses as they come."""

    def __init__(self, client, credit, **start):
        self.client, self.requests = client, queue.SimpleQueue()
        self.responses = client.messages.Receive(iter(self.requests.get, None), timeout=TIMEOUT_S)
        self.send(start=client.pb.ReceiveStart(**start), credit=credit)
        self.last_seq = client.check_mailbox_head(self.next().head)

    def send(self, **fields):
        self.requests.put(self.client.pb.ReceiveRequest(**fields))

    def next(self):
        try:
            return next(self.responses)
        except grpc.RpcError as error:
            raise refusal_of(self.client.pb, error) from None

    def deliveries(self):
        """Everything up to `caught_up`."""
        found = []
        while not (response := self.next()).caught_up:
            need(response.HasField("delivery"), "neither a delivery nor its end")
            found.append(response.delivery)
        return found

    def say(self, signed):
        """Sends a statement; a problem with it is raised by its name. What else comes before the result is let go."""
        self.send(statement=signed)
        while not (response := self.next()).HasField("statement"):
            pass
        result = response.statement
        need(result.sha256 == tree.sha256(signed.statement), "the result of another statement")
        if result.HasField("problem"):
            raise Refusal(result.problem.name, dict(result.problem.metadata), None, result.problem.text)
        self.client.note_taken(signed)

    def close(self):
        """Ends the stream from this side; whatever still comes is given back."""
        self.requests.put(None)
        return list(self.responses)
