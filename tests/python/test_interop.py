#!/usr/bin/env python3
"""A client written from SPEC.md against the gateway: python3 test_interop.py --bin FOLDER

FOLDER holds `ecowire-certs` and `ecowire-gateway`. A network is minted in a temporary folder, the gateway serves it on a
free port of this machine, the story is told, the gateway is stopped and its store checked. Exit code 0: all passed.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # a refused handshake is told by the checks, not by the library

import grpc  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key  # noqa: E402

from ecowire import entries, forms, mlkem, profile, sealing, tree, wire  # noqa: E402
from ecowire.forms import Refused  # noqa: E402
from ecowire_client import Client, Directory, Log, Mailbox, compile_stubs, judge_node, now_ms  # noqa: E402
from ecowire_stage import Checks, Gateway, equal, sure  # noqa: E402

NETWORK = "ecowire.test"
PARTICIPANTS = ["ke", "ke/cus/kemba", "th", "th/bkk", "ipsg/ens", "aud/network", "aud/ke"]
TEXT = "Two containers of ivory, vessel \u201cMarisol\u201d, due 24 November.".encode()


def flipped(data):
    """With one bit turned in the last byte."""
    return data[:-1] + bytes([data[-1] ^ 1])


class Story:
    def __init__(self, check, pb, gateway, address):
        self.check, self.pb, self.gateway, self.address = check, pb, gateway, address
        pki = gateway.folder / "pki"
        self.trust, self.pki = pki / "trust.toml", pki
        self.clients = {name: self.connect(name) for name in PARTICIPANTS}
        self.kemba, self.ke, self.th, self.ens = (self.clients[name] for name in ("ke/cus/kemba", "ke", "th", "ipsg/ens"))

    def connect(self, name):
        return Client(self.pb, self.address, self.trust, self.pki / name.replace("/", "_"))

    def close(self):
        for client in self.clients.values():
            client.close()

    def tell(self):
        for part in (
            self.connections, self.keys, self.directory, self.message, self.deliveries, self.receipts_of_recipients, self.statuses,
            self.reply, self.by_stream, self.form_and_sender, self.rules, self.numbers, self.directory_grows, self.bad_requests,
            self.proofs, self.largest, self.replay_of_own, self.auditors, self.fork,
        ):
            try:
                part()
            except Exception as error:  # the rest of the part was not told: that is a failure of its own
                with self.check(part.__name__):
                    raise error

    # --- connections, keys, directory ---

    def connections(self):
        with self.check("the node is named by its certificate"):
            equal({client.node for client in self.clients.values()}, {"node/dev-1"})
        with self.check.unsound("a node that the trust file does not name"):
            judge_node(self.address, self.kemba.trusted | {"nodes": ["node/dev-2"]}, self.pki / "ke")
        with self.check("nobody is served without a certificate"):
            leaf = judge_node(self.address, self.kemba.trusted, self.pki / "ke")[1]
            with grpc.secure_channel(self.address, grpc.ssl_channel_credentials(leaf)) as channel:
                try:
                    self.pb.grpc.AuditStub(channel).Checkpoint(self.pb.CheckpointRequest(), timeout=10)
                    raise AssertionError("it was answered")
                except grpc.RpcError as error:
                    equal(error.code(), grpc.StatusCode.UNAVAILABLE)

    def keys(self):
        for at, name in enumerate(("ke/cus/kemba", "ke", "th", "ipsg/ens")):
            client = self.clients[name]
            signed = client.keys_statement()
            with self.check(f"{name} publishes its keys"):
                proved = client.publish(signed)
                equal((proved["kind"], proved["slots"][2, 0]), (3, (at + 1).to_bytes(8, "big")))
                client.note_taken(signed)
            with self.check("a statement that is known gets the receipt of its entry"):
                equal(client.publish(signed)["index"], proved["index"])
        self.bad_statements()

    def bad_statements(self):
        check, ke = self.check, self.ke
        denied, failed = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.FAILED_PRECONDITION
        next_one = ke.keys_statement()
        with check.refused("NOT_SENDER", denied):
            self.th.publish(next_one)
        seq, digest = ke.sequence["keys"]
        ke.sequence["keys"] = (0, b"")
        with check.refused("BAD_SEQUENCE", failed, seq="2", prev_sha256=digest.hex()):
            ke.publish(ke.keys_statement())
        ke.sequence["keys"] = (seq, digest)
        with check.refused("BAD_SIGNATURE", grpc.StatusCode.INVALID_ARGUMENT):
            ke.publish(ke.sign("keys", self.pb.KeyStatement.FromString(next_one.statement), self.th.seed))
        own = ke.seeds
        ke.seeds = [*own, self.th.seeds[0]]
        with check.refused("KEY_REFUSED", failed):
            ke.publish(ke.keys_statement())
        ke.seeds = own
        with check.refused("NO_AUTHORITY", denied):
            access = self.pb.AccessStatement(head=ke.head("access", now_ms() + 60_000), purpose="none", from_index=0, to_index=9)
            ke.publish(ke.sign("access", access))
        with check.refused("CLOCK_SKEW", failed, skew_max_ms="300000"):
            early = self.pb.KeyStatement.FromString(next_one.statement)
            early.head.created_ms += 3_600_000
            ke.publish(ke.sign("keys", early))

    def directory(self):
        for client in self.clients.values():
            with self.check(f"{client.me} verifies the directory"):
                client.update_directory()
                equal(len(client.directory.hashes), 5)
        page = self.kemba.call(self.kemba.directory_service.Snapshot, self.pb.SnapshotRequest(from_size=0))
        held = self.kemba.call(self.kemba.directory_service.Snapshot, self.pb.SnapshotRequest(from_size=99))
        with self.check("a page beyond the end is empty"):
            equal((list(held.statements), held.size), ([], 5))

        def bind(statements, checkpoint=page.checkpoint, head=page.head):
            directory = Directory(self.kemba.trusted)
            for leaf in statements:
                directory.add(leaf)
            directory.bind(checkpoint, head, Log(self.kemba.log.key, self.kemba._consistency))

        leaves = list(page.statements)
        with self.check("the page binds"):
            bind(leaves)
        turned = self.pb.Receipt.FromString(page.head)
        turned.slots[1].value = flipped(turned.slots[1].value)
        for what, parts in {
            "a directory without its last statement": (leaves[:-1],),
            "a directory in another order": ([leaves[0], leaves[2], leaves[1], *leaves[3:]],),
            "a statement that stands twice": ([*leaves, leaves[-1]],),
            "a changed statement": ([*leaves[:-1], flipped(leaves[-1])],),
            "the log's note instead of the directory's": (leaves, turned.checkpoint),
            "a changed Head": (leaves, page.checkpoint, turned.SerializeToString()),
        }.items():
            with self.check.unsound(what):
                bind(*parts)

    # --- one message, from a border post to a bureau abroad ---

    def message(self):
        recipients = ["th", "ke", "ipsg/ens"]
        self.context = self.kemba.context(self.pb.KIND_ECOMESSAGE, recipients, 1)
        self.sent = self.kemba.seal(self.context, TEXT, "text/plain; charset=utf-8")
        self.sent.tag = 77
        with self.check("a message, and its receipt"):
            self.proved = self.kemba.submit(self.sent)
            self.message_id = sealing.message_id(self.sent.signed.header)
        with self.check("the same bytes again get the receipt of their entry"):
            equal(self.kemba.submit(self.sent)["index"], self.proved["index"])
        for client in self.clients.values():
            with self.check(f"{client.me} sees the checkpoint of the receipt as part of its log"):
                client.log.meet(self.proved["size"], self.proved["root"])

    def largest(self):
        with self.check("the largest content that a message holds"):
            content = bytes(range(256)) * (forms.MAX["content"] // 256)
            self.kemba.submit(self.kemba.seal(self.kemba.context(self.pb.KIND_MESSAGE, ["ke"], 5), content, "application/octet-stream"))
            mailbox = Mailbox(self.ke, credit=1, after_seq=self.check_last(self.ke) - 1)
            delivery = mailbox.next().delivery
            self.ke.verify_delivery(delivery)
            equal(self.ke.open(delivery), ("application/octet-stream", content))
            mailbox.close()

    @staticmethod
    def check_last(client):
        mailbox = Mailbox(client, credit=0)
        mailbox.close()
        return mailbox.last_seq

    def deliveries(self):
        for client in (self.th, self.ke, self.ens):
            with self.check(f"{client.me} receives, verifies and opens"):
                mailbox = Mailbox(client, credit=4, until_caught_up=True)
                [delivery] = mailbox.deliveries()
                equal((mailbox.last_seq, delivery.mailbox_seq, mailbox.close()), (1, 1, []))
                client.delivered = delivery
                header, context, proved = client.verify_delivery(delivery)
                equal((context["sender"], proved["index"]), ("ke/cus/kemba", self.proved["index"]))
                equal(client.open(delivery), ("text/plain; charset=utf-8", TEXT))
        self.false_deliveries(self.th, self.th.delivered)
        with self.check("nothing is delivered without credit"):
            mailbox = Mailbox(self.th, credit=0)
            mailbox.send(credit=1)
            equal([mailbox.next().delivery.mailbox_seq], [1])
            equal(mailbox.next().caught_up, True)
            equal(mailbox.close(), [])

    def false_deliveries(self, th, delivery):
        """A gateway that shows something else than what was signed."""

        def changed(**fields):
            other = self.pb.Delivery.FromString(delivery.SerializeToString())
            for name, value in fields.items():
                setattr(other, name, value)
            return other

        def with_path(path):
            other = changed()
            del other.wrap_path[:]
            other.wrap_path.extend(path)
            return other

        for name, shown in {
            "Wrap": with_path(list(delivery.wrap_path)[:-1]), "Key": None,
            "Content": changed(content=flipped(delivery.content)),
        }.items():
            with self.check(f"a delivery that is refused by the step {name}"):
                try:
                    th.open(shown or delivery, None if shown else self.ke.seeds)
                    raise AssertionError("it opened")
                except Refused as refused:
                    equal(refused.name, name)
        unsigned = changed()
        unsigned.signed.signatures[0].signature = bytes(64)
        for what, other in {
            "another content": changed(content=delivery.content + b"\0"), "another number": changed(mailbox_seq=2),
            "another signature": unsigned, "another's receipt": changed(receipt=self.ke.delivered.receipt),
        }.items():
            with self.check.unsound(f"a delivery with {what}"):
                th.verify_delivery(other)

    def receipts_of_recipients(self):
        mailbox = Mailbox(self.th, credit=1)
        self.th.verify_delivery(mailbox.next().delivery)
        with self.check("there is no more"):
            equal(mailbox.next().caught_up, True)
        with self.check.refused("UNKNOWN_MESSAGE", mailbox_seq="1"):
            mailbox.say(self.th.mailbox_statement("delivered", [(1, bytes(32))]))
        with self.check.refused("UNKNOWN_MESSAGE", mailbox_seq="2"):
            mailbox.say(self.th.mailbox_statement("delivered", [(2, self.message_id)]))
        with self.check("DELIVERED, then ACKNOWLEDGED on the same stream"):
            mailbox.say(self.th.mailbox_statement("delivered", [(1, self.message_id)]))
            equal([one.state for one in self.kemba.status(1).recipients][0], self.pb.RECIPIENT_STATE_DELIVERED)
            mailbox.say(self.th.mailbox_statement("acknowledged", [(1, self.message_id)]))
        with self.check.refused("NO_AUTHORITY"):
            mailbox.say(self.th.keys_statement())
        with self.check("the stream ends with the client"):
            equal(mailbox.close(), [])
        with self.check("DELIVERED by PublishStatement, and its receipt"):
            signed = self.ke.mailbox_statement("delivered", [(1, self.message_id)])
            proved = self.ke.publish(signed)
            equal((proved["kind"], proved["slots"][2, 0]), (4, sealing.chain_sha256(self.ke.chain)))
            self.ke.note_taken(signed)
        with self.check.refused("NOT_SENDER"):
            self.ens.publish(self.ke.mailbox_statement("acknowledged", [(1, self.message_id)]))
        with self.check("what was delivered does not wait, and is retained"):
            mailbox = Mailbox(self.th, credit=9, until_caught_up=True)
            equal((mailbox.deliveries(), mailbox.close()), ([], []))
            mailbox = Mailbox(self.th, credit=9, retained=True)
            equal([one.mailbox_seq for one in mailbox.deliveries()], [1])
            mailbox.close()
            mailbox = Mailbox(self.th, credit=9, retained=True, after_seq=1)
            equal((mailbox.deliveries(), mailbox.close()), ([], []))

    def statuses(self):
        pb = self.pb
        with self.check("Status, and the receipt in it"):
            status = self.kemba.status(1)
            equal((status.known, status.message_id), (True, self.message_id))
            equal(self.kemba.check_own(self.sent, status.receipt)["index"], self.proved["index"])
            states = {one.recipient: one.state for one in status.recipients}
            acknowledged, delivered, available = (getattr(pb, f"RECIPIENT_STATE_{name}") for name in ("ACKNOWLEDGED", "DELIVERED", "AVAILABLE"))
            equal(states, {"th": acknowledged, "ke": delivered, "ipsg/ens": available})
            sure(all(self.proved["at_ms"] <= one.at_ms <= now_ms() + 1000 for one in status.recipients), "the times")
        with self.check("a reference that nobody used, and one of somebody else"):
            equal((self.kemba.status(2).known, self.th.status(1).known), (False, False))
        with self.check("Status says where a new outbox begins"):
            year = self.context.year
            equal([self.last_of(self.kemba, 1), self.last_of(self.kemba, 9), self.last_of(self.th, 1)], [(year, 1, 1), (year, 1, 1), None])

    @staticmethod
    def last_of(client, number):
        """The caller's latest series and its highest number, as the answer about any reference has them."""
        status = client.status(number)
        return (status.last.year, status.last.series, status.last.number) if status.HasField("last") else None

    def reply(self):
        with self.check("a reply, FLASH, to the post and its bureau"):
            lifetime = self.th.directory.policy["lifetime_min_ms"]
            context = self.th.context(self.pb.KIND_REPLY, ["ke/cus/kemba", "ke"], 1, priority=self.pb.PRIORITY_FLASH, in_reply_to=self.message_id)
            context.expires_ms = context.created_ms + lifetime
            sent = self.th.seal(context, b"Received.")
            self.th.submit(sent)
            mailbox = Mailbox(self.kemba, credit=1)
            delivery = mailbox.next().delivery
            _, read, _ = self.kemba.verify_delivery(delivery)
            equal((read["in_reply_to"], self.kemba.open(delivery)[1]), (self.message_id, b"Received."))
            mailbox.say(self.kemba.mailbox_statement("delivered", [(delivery.mailbox_seq, sealing.message_id(sent.signed.header))]))
            mailbox.close()
        with self.check("an open stream is told of what comes, the most urgent first"):
            mailbox = Mailbox(self.ke, credit=0)
            waiting = [2]
            for number, priority in ((1, "ROUTINE"), (2, "URGENT"), (3, "ROUTINE")):
                context = self.ens.context(self.pb.KIND_MESSAGE, ["ke"], number, priority=getattr(self.pb, f"PRIORITY_{priority}"))
                self.ens.submit(self.ens.seal(context, b"x"))
            mailbox.send(credit=9)
            found = mailbox.deliveries()
            equal(([one.mailbox_seq for one in found], mailbox.close()), ([*waiting, 4, 3, 5], []))

    def by_stream(self):
        with self.check("answers on a stream carry the tag, and a problem is told on it"):
            good = [self.ens.seal(self.ens.context(self.pb.KIND_MESSAGE, ["ke"], number), b"x") for number in (4, 5, 6)]
            bad = self.ens.seal(self.ens.context(self.pb.KIND_HIT, ["ke"], 7), b"x")
            for tag, one in enumerate([*good, bad]):
                one.tag = 100 + tag
            requests = (self.pb.SubmitStreamRequest(submission=one) for one in [*good, bad])
            answers = {one.tag: one for one in self.ens.stream(self.ens.messages.SubmitStream, requests)}
            equal(sorted(answers), [100, 101, 102, 103])
            for one in good:
                self.ens.check_own(one, answers[one.tag].receipt)
            problem = answers[103].problem
            equal((problem.name, problem.fault, problem.metadata["what"]), ("NO_GRANT", self.pb.FAULT_REFUSED, "the kind"))

    # --- refusals ---

    def form_and_sender(self):
        pb, kemba, check = self.pb, self.kemba, self.check
        denied, argument = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT

        def fresh():
            return kemba.seal(kemba.context(pb.KIND_MESSAGE, ["ke"], 2), TEXT)

        with check.refused("NOT_SENDER", denied):
            self.ke.submit(self.sent)
        with check.refused("NOT_SENDER", denied):
            kemba.submit(kemba.seal(kemba.context(pb.KIND_MESSAGE, ["ke"], 2, sender="ke"), TEXT))
        with check.refused("NOT_SENDER", denied):
            foreign = kemba.context(pb.KIND_MESSAGE, ["ke"], 2)
            foreign.signers[0].key_id = self.ke.key_id
            kemba.submit(kemba.seal(foreign, TEXT, seed=self.ke.seed))
        with check.refused("BAD_SIGNATURE", argument):
            one = fresh()
            one.signed.signatures[0].signature = flipped(one.signed.signatures[0].signature)
            kemba.submit(one)
        with check.refused("BAD_COMMITMENT", argument):
            one = fresh()
            one.content = one.content[::-1]
            kemba.submit(one)
        with check.refused("BAD_COMMITMENT", argument):
            one = fresh()
            del one.wraps[:]
            kemba.submit(one)
        with check.refused("BAD_ENCODING", argument):
            one = fresh()
            one.signed.header += b"\x38\x00"
            kemba.submit(one)
        with check.refused("TOO_LARGE", argument):
            one = fresh()
            one.content = bytes(forms.MAX["ciphertext"] + 1)
            kemba.submit(one)
        with check.refused("BAD_ENCODING", argument):
            kemba.submit(pb.Submission())

    def rules(self):
        pb, kemba, check = self.pb, self.kemba, self.check
        denied, failed, missing = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND
        any_key = {name: self.ke.directory.current_key("ke") for name in ("ug", "grp/wildlife", "th/bkk", "aud/ke")}

        def send(kind="MESSAGE", to=("ke",), number=2, keys=any_key, client=kemba, **fields):
            client.submit(client.seal(client.context(getattr(pb, f"KIND_{kind}"), list(to), number, **fields), TEXT, keys=keys))

        with check.refused("REFERENCE_REUSED", grpc.StatusCode.ALREADY_EXISTS, reference=f"KE.CUS.KEMBA/{self.context.year}/000001"):
            send(number=1)
        grant = {"sender": "ke/cus/kemba", "priority": "PRIORITY_ROUTINE", "classification": "CLASSIFICATION_RESTRICTED"}
        with check.refused("NO_GRANT", denied, what="the kind", kind="KIND_NOTICE", **grant):
            send("NOTICE")
        with check.refused("NO_GRANT", denied, what="the message"):
            send(classification=pb.CLASSIFICATION_CONFIDENTIAL)
        for what, fields in {
            "a target": {"target": bytes(32)}, "a room": {"room": bytes(16)}, "the group": {"via_group": "grp/wildlife"},
        }.items():
            with check.refused("NO_GRANT", denied, what=what):
                send(**fields)
        with check.refused("NO_AUTHORITY", denied):
            send(parent=bytes(32))
        with check.refused("NO_GRANT", denied, what="the message"):
            self.clients["aud/ke"].submit(self.clients["aud/ke"].seal(self.clients["aud/ke"].context(pb.KIND_MESSAGE, ["ke"], 1), TEXT))
        with check.refused("NO_GRANT", denied, what="a VOID to anybody but the own NCB, or oneself"):
            send("VOID", ["ke/cus/kemba"])
        with check.refused("UNKNOWN_RECIPIENT", missing, recipient="ug"):
            send(to=["ug", "ke"])
        with check.refused("NO_GRANT", denied, what="a group"):
            send(to=["ke", "grp/wildlife"])
        with check.refused("OVERSIGHT_MISSING", denied, ncb="ke", recipient="th"):
            send(to=["th"])
        with check.refused("STALE_KEY", failed, recipient="th/bkk"):
            send(to=["ke", "th/bkk"])
        with check.refused("IPSG_COPY_MISSING", denied, kind="KIND_ECOMESSAGE", desk="ipsg/ens"):
            send("ECOMESSAGE", ["th", "ke"])
        with check.refused("STALE_KEY", failed, recipient="ke"):
            send(keys={"ke": mlkem.xwing_keys(bytes(32))[2]})
        with check.refused("STALE_DIRECTORY", failed, size="1"):
            send(directory_size=1)
        with check.refused("EXPIRED", failed):
            send(created_ms=now_ms() - 4 * forms.DAY_MS, expires_ms=now_ms() - forms.DAY_MS)
        with check.refused("CLOCK_SKEW", failed, skew_max_ms="300000"):
            send(created_ms=now_ms() + 600_000)
        with check.refused("BAD_ENCODING", grpc.StatusCode.INVALID_ARGUMENT):
            send(expires_ms=now_ms() + forms.DAY_MS)

    def numbers(self):
        pb, ke, check = self.pb, self.ke, self.check
        year = time.gmtime().tm_year

        def send(number, series=1, previous=None, of=year):
            fields = {"series": series, "year": of} | ({"previous": pb.Previous(year=year, series=previous, number=3)} if previous else {})
            return ke.submit(ke.seal(ke.context(pb.KIND_VOID, ["ke"], number, **fields), b""))

        def bad(*parts, **fields):
            with check.refused("BAD_REFERENCE", grpc.StatusCode.FAILED_PRECONDITION):
                send(*parts, **fields)

        bad(1, series=2)
        bad(1025)
        with check("numbers of a series come in any order"):
            send(3), send(1), send(1027)
        with check.refused("REFERENCE_REUSED", reference=f"KE/{year}/001027"):
            send(1027)
        with check.refused("BAD_REFERENCE", last_year=str(year), last_series="1", last_number="1027"):
            send(2052)
        bad(2, previous=1)
        bad(1, series=3, previous=1)
        bad(1, series=2)
        bad(2, series=2, previous=1)
        bad(1, of=year - 2)
        with check("a new series begins with any number; number 1 names an earlier one"):
            send(2, series=2), send(1, series=2, previous=1), send(2)
            equal(self.last_of(ke, 1), (year, 2, 2))
        bad(1, series=3, previous=3)
        bad(1, of=year - 1)

    # --- what others see ---

    def directory_grows(self):
        th = self.th
        watch = th.directory_service.Watch(self.pb.WatchRequest(from_size=5), timeout=20)
        retired, fresh = th.seeds[0], bytes([7]) * 32
        th.seeds = [retired, fresh]
        signed = th.keys_statement({0: self.pb.KEY_STATE_DECRYPT_ONLY})
        with self.check("Watch tells of a new statement"):
            th.publish(signed)
            th.note_taken(signed)
            equal(next(watch).size, 6)
        watch.cancel()
        with self.check("a key within its grace is still sealed for"):
            sent = self.kemba.seal(self.kemba.context(self.pb.KIND_MESSAGE, ["th", "ke"], 2), b"old key")
            self.kemba.submit(sent)
        with self.check("the directory goes on, and the new key is used"):
            self.kemba.update_directory()
            equal(self.kemba.directory.current_key("th"), mlkem.xwing_keys(fresh)[2])
            self.kemba.submit(self.kemba.seal(self.kemba.context(self.pb.KIND_MESSAGE, ["th", "ke"], 3), b"new key"))
            mailbox = Mailbox(th, credit=9)
            found = mailbox.deliveries()
            [th.verify_delivery(one) for one in found]
            equal([th.open(one)[1] for one in found], [b"old key", b"new key"])
            mailbox.close()
        with self.check.refused("KEY_REFUSED"):
            th.publish(th.keys_statement())

    def bad_requests(self):
        pb, th, check = self.pb, self.th, self.check

        def first(**fields):
            responses = th.messages.Receive(iter([pb.ReceiveRequest(**fields)]), timeout=20)
            return th.stream(lambda *_, **__: responses, None)

        with check.refused("BAD_ENCODING"):
            first(credit=1)
        with check.refused("TOO_LARGE"):
            first(start=pb.ReceiveStart(), credit=1025)
        for method, request in (
            (th.audit.Consistency, pb.ConsistencyRequest(from_size=2, to_size=1)), (th.audit.Consistency, pb.ConsistencyRequest(from_size=0, to_size=1 << 40)),
            (th.audit.Inclusion, pb.InclusionRequest(index=1, size=1)), (th.audit.Tile, pb.TileRequest(path="tile/0/x001/067")),
            (th.audit.Tile, pb.TileRequest(path="tile/../0")), (th.audit.Tile, pb.TileRequest(path="tile/60/x001/067")),
        ):
            with check.refused("BAD_ENCODING", grpc.StatusCode.INVALID_ARGUMENT):
                th.call(method, request)
        with check.refused("BAD_ENCODING"):
            th.stream(th.audit.Replay, pb.ReplayRequest(from_index=3, to_index=2))
        with check.refused("BAD_SIGNATURE"):
            th.call(th.audit.Checkpoint, pb.CheckpointRequest(held=b"nothing"))
        with check.refused("BAD_ENCODING"):
            th.call(th.directory_service.PublishStatement, pb.PublishStatementRequest())

    def proofs(self):
        pb, th = self.pb, self.th
        first = th.call(th.audit.Checkpoint, pb.CheckpointRequest())
        with self.check("a checkpoint that the caller holds is extended"):
            self.kemba.submit(self.kemba.seal(self.kemba.context(pb.KIND_MESSAGE, ["ke"], 4), b"x"))
            second = th.call(th.audit.Checkpoint, pb.CheckpointRequest(held=first.checkpoint))
            old, new = (tree.open_checkpoint(one.checkpoint, th.log.key) for one in (first, second))
            sure(old[0] < new[0], "the log has not grown")
            tree.verify_consistency(*old, *new, list(second.consistency))
            th.log.meet(*new)
            third = th.call(th.audit.Checkpoint, pb.CheckpointRequest(held=second.checkpoint))
            equal((third.checkpoint, list(third.consistency)), (second.checkpoint, []))
            sure(abs(third.now_ms - now_ms()) < 60_000, "the clock")
        with self.check("every entry stands under every checkpoint"):
            size, root = new
            for index in range(size):
                found = th.call(th.audit.Inclusion, pb.InclusionRequest(index=index, size=size))
                tree.verify_inclusion(found.leaf_hash, index, size, list(found.path), root)
            hashes = self.replay(th)[0]
            for old in range(size + 1):
                found = th.call(th.audit.Consistency, pb.ConsistencyRequest(from_size=old, to_size=size))
                tree.verify_consistency(old, tree.root(hashes[:old]), size, root, list(found.path))
        with self.check("a tile holds the hashes of its entries"):
            tile = th.call(th.audit.Tile, pb.TileRequest(path=f"tile/0/000.p/{size}")).tile
            equal(tile, b"".join(hashes[:size]))

    def replay(self, client):
        """(leaf hashes, responses of entries) of a whole replay, whose hashes lead to its checkpoint."""
        *entries_shown, end = client.stream(client.audit.Replay, self.pb.ReplayRequest())
        hashes = [one.leaf_hash for one in entries_shown]
        equal([one.index for one in entries_shown], list(range(len(hashes))))
        equal(tree.open_checkpoint(end.checkpoint, client.log.key), (len(hashes), tree.root(hashes)))
        return hashes, entries_shown

    def parts(self, client):
        """index -> shown slots of the entries that a replay shows a part of; what is shown leads to the leaf."""
        shown = {}
        for one in self.replay(client)[1]:
            if one.leaf:
                equal(tree.leaf_hash(one.leaf), one.leaf_hash)
            if one.part:
                part = wire.decode("Receipt", one.part)
                kind, slots, body = entries.body_of_disclosed(part["slots"], part["siblings"])
                equal((part["leaf"], entries.read_leaf(one.leaf)[2], part["path"], part["checkpoint"]), (one.leaf, body, [], b""))
                signatures = wire.canonical("SealedPayload", one.signatures)["signatures"]
                equal((kind, slots[2, 0]), (entries.MESSAGE, sealing.signatures_sha256(signatures)))
                shown[one.index] = slots
            sure(not one.opening, "a participant is shown an opening")
        return shown

    def replay_of_own(self):
        index = self.proved["index"]
        common = {(tag, 0) for tag in range(9)}
        for client, places in ((self.kemba, set()), (self.th, {(7, 1)}), (self.ke, {(7, 2)}), (self.ens, {(7, 3)})):
            with self.check(f"what a replay shows {client.me}"):
                shown = self.parts(client)
                equal(set(shown[index]), common | places)
                for slots in shown.values():
                    context = forms.read_header(slots[1, 0], NETWORK)[1]
                    sure(client.me in (context["sender"], *context["recipients"]), "another's message")
        with self.check("who has no part in anything sees hashes"):
            equal(self.parts(self.clients["th/bkk"]), {})

    def auditors(self):
        pb, auditor, of_ke = self.pb, self.clients["aud/network"], self.clients["aud/ke"]
        with self.check.refused("NO_AUTHORITY", grpc.StatusCode.PERMISSION_DENIED):
            auditor.stream(auditor.audit.Replay, pb.ReplayRequest())
        for client in (auditor, of_ke):
            with self.check(f"{client.me} says what it will read"):
                access = pb.AccessStatement(head=client.head("access", now_ms() + 600_000), purpose="yearly audit", from_index=1, to_index=1 << 40)
                equal(client.publish(client.sign("access", access))["kind"], 5)
        with self.check("the network's auditor sees every opening of its range"):
            _, shown = self.replay(auditor)
            equal((shown[0].leaf, shown[0].opening), (b"", b""))
            for one in shown[1:]:
                kind, slots, body = entries.body_of_opening(one.opening)
                leaf_class, _, found = entries.read_leaf(one.leaf)
                equal((body, leaf_class, tree.leaf_hash(one.leaf)), (found, 1 if kind == entries.MESSAGE else 2, one.leaf_hash))
                if kind == entries.MESSAGE:
                    signatures = wire.canonical("SealedPayload", one.signatures)["signatures"]
                    equal(slots[2, 0], sealing.signatures_sha256(signatures))
        with self.check("refusals of signed headers are recorded by name"):
            names = set()
            for one in shown[1:]:
                kind, slots, _ = entries.body_of_opening(one.opening)
                names |= {wire.canonical("Refused", slots[1, 0])["name"]} if kind == 19 else set()
            wanted = {"NO_GRANT", "REFERENCE_REUSED", "UNKNOWN_RECIPIENT", "OVERSIGHT_MISSING", "IPSG_COPY_MISSING", "STALE_KEY", "BAD_REFERENCE"}
            sure(wanted <= names, f"{wanted - names} are missing")
        with self.check("the revocation lists of the network's CAs are in the log, and hold"):
            self.lists(shown[1:])
        with self.check("a country's auditor sees all places of its country"):
            shown = self.parts(of_ke)
            equal({one for one in shown[self.proved["index"]] if one[0] == 7}, {(7, 0), (7, 2)})
            both = [slots for slots in shown.values() if {(7, 1), (7, 2)} <= set(slots)]
            equal(len(both), 1)

    def lists(self, shown):
        """Each REVOCATIONS_SEEN holds a list by a CA that genesis names, and says what is in it."""
        enrolled = (one["identity_chain"][1:] for one in self.ke.directory.participants.values())
        issuers = {x509.load_der_x509_certificate(der) for der in [*self.ke.trusted["roots"], *(der for chain in enrolled for der in chain)]}
        found = {}
        for one in shown:
            kind, slots, _ = entries.body_of_opening(one.opening)
            if kind == 18:
                seen, crl = wire.canonical("RevocationsSeen", slots[1, 0]), x509.load_der_x509_crl(slots[2, 0])
                [issuer] = [ca for ca in issuers if ca.subject == crl.issuer and crl.is_signature_valid(ca.public_key())]
                number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
                digests = (profile.Certificate(issuer.public_bytes(Encoding.DER)).key_sha256, tree.sha256(slots[2, 0]))
                equal((seen["issuer_key_sha256"], seen["crl_sha256"]), digests)
                equal((int.from_bytes(seen["crl_number"], "big"), len(seen["added"])), (number, len(list(crl))))
                found[issuer.subject] = number
        equal(len(found), len(issuers))

    def fork(self):
        """Whoever holds a larger checkpoint under the log's key stops a log that does not reach it. Nothing is written after this."""
        pb, th = self.pb, self.th
        seed = load_pem_private_key((self.pki / "node_dev-1" / "log.key").read_bytes(), None).private_bytes_raw()
        origin = self.th.trusted["log_origin"]

        def ask(size):
            held = tree.sign_note(tree.checkpoint_text(origin, size, bytes(32)), [(origin, seed)])
            return th.call(th.audit.Checkpoint, pb.CheckpointRequest(held=held))

        for what, size in (("a larger checkpoint", 1 << 40), ("another history", 3)):
            with self.check(f"{what} is answered with the gateway's own and no proof"):
                answer = ask(size)
                th.log.meet(*tree.open_checkpoint(answer.checkpoint, th.log.key))
                equal(list(answer.consistency), [])
            with self.check.unsound(what):
                tree.verify_consistency(size, bytes(32), *tree.open_checkpoint(answer.checkpoint, th.log.key), list(answer.consistency))
        with self.check.refused("BUSY", grpc.StatusCode.RESOURCE_EXHAUSTED):
            self.kemba.submit(self.kemba.seal(self.kemba.context(pb.KIND_MESSAGE, ["ke"], 6), b"x"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=Path, help="folder with ecowire-certs and ecowire-gateway")
    binaries = parser.parse_args().bin.resolve()
    check = Checks()
    with tempfile.TemporaryDirectory() as name, Gateway(Path(name), binaries) as gateway:
        (gateway.folder / "stubs").mkdir()
        pb = compile_stubs(gateway.folder / "stubs")
        gateway.make(NETWORK, [*PARTICIPANTS, "node/dev-1"], ["ke", "ke/cus/kemba"])
        story = Story(check, pb, gateway, gateway.start())
        try:
            story.tell()
        finally:
            story.close()
        with check("SIGTERM ends the gateway"):
            equal(gateway.stop(), 0)
        with check("every entry verifies, and the check names the evidence of the forks and nothing else"):
            checked = gateway.check()
            equal((checked.returncode, [line.startswith("store: evidence") for line in checked.stdout.splitlines()]), (5, [True, True]))
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
