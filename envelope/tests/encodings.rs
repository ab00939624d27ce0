//! Parser differential: what a protobuf library reads without a word, refused as `BAD_ENCODING` at every level that is
//! signed or hashed as bytes.
//!
//! Every bad encoding is signed by the right key and committed to in the right place, so that only its form can stop it.

mod stage;

use bytes::Bytes;
use envelope::canonical::EncodingError;
use envelope::header::{self, HEADER_TYPE, Header, Wrap};
use envelope::keys::AwsLc;
use envelope::statement::{self, StatementError};
use envelope::{dsse, header::wraps_root};
use prost::Message as _;
use proto::v1::{self, SignedStatement, StatementKind};
use stage::{Enrolled, Post, admit, body, delivery, encoded, full_context, header_of, network, parsed, read, resigned, sealed, signed};

/// The levels; `check` alone knows how bytes of each come to be judged.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    Header,
    Context,
    Wrap,
    Statement,
    SignedStatement,
}

use Level::{Context as C, Header as H, SignedStatement as N, Statement as S, Wrap as W};

struct Stage {
    posts: Vec<Post>,
    submission: v1::Submission,
    statement: SignedStatement,
}

impl Stage {
    fn new() -> Self {
        let posts = Post::many(&["ke/cus/kemba", "ke", "ke/desk/duty-2"]);
        let (signers, recipients) = ([&posts[0], &posts[2]], [&posts[1]]);
        let mut submission = sealed(&full_context(&signers, &recipients), &body(10), &recipients, &signers);
        // An attachment, so that the header has a message inside.
        let mut fields = header_of(&submission);
        fields.attachments = vec![v1::AttachmentRef { chunk_log2: 16, ciphertext_size: 17, chunks_root: vec![1; 32].into() }];
        submission = resigned(&submission, encoded(&fields), &signers);
        let head = v1::StatementHead {
            version: 1,
            network: network().to_string(),
            issuer: "ke".to_owned(),
            subject: "ke".to_owned(),
            seq: 2,
            prev_sha256: vec![3; 32].into(),
            created_ms: stage::CREATED_MS,
            expires_ms: 0,
        };
        let item = v1::ReceiptItem { mailbox_seq: 1, message_id: vec![4; 32].into() };
        let mailbox =
            v1::MailboxStatement { head: Some(head), items: vec![item], at_ms: 1, clock: v1::ClockQuality::Ntp.into(), checkpoint_size: 9 };
        let statement = statement::sign(&statement::Delivered(mailbox), &[&posts[1].identity]).expect("signed");
        Self { posts, submission, statement }
    }

    fn bytes(&self, level: Level) -> Bytes {
        match level {
            H => signed(&self.submission).header.clone(),
            C => header_of(&self.submission).context,
            W => self.submission.wraps[0].clone(),
            S => self.statement.statement.clone(),
            N => encoded(&self.statement),
        }
    }

    /// What the gateway (and for a header the recipient, too) says to these bytes at this level.
    fn check(&self, level: Level, bytes: &[u8]) -> String {
        let bytes = Bytes::copy_from_slice(bytes);
        let signers = [&self.posts[0], &self.posts[2]];
        let mut fields = header_of(&self.submission);
        match level {
            H => self.admitted(&resigned(&self.submission, bytes, &signers)),
            C => {
                fields.context = bytes;
                self.admitted(&resigned(&self.submission, encoded(&fields), &signers))
            }
            W => {
                fields.wraps_root = wraps_root(std::slice::from_ref(&bytes)).as_bytes().to_vec().into();
                self.admitted(&resigned(&v1::Submission { wraps: vec![bytes], ..self.submission.clone() }, encoded(&fields), &signers))
            }
            S => {
                let payload_type = "application/vnd.ecowire.delivered.v1+protobuf";
                let signatures = dsse::sign(payload_type, &bytes, &[&self.posts[1].identity]).expect("signed");
                self.opened(&SignedStatement { kind: StatementKind::Delivered.into(), signatures, statement: bytes })
            }
            N => statement::decode_signed(&bytes).map_or_else(|_| "BAD_ENCODING".to_owned(), |signed| self.opened(&signed)),
        }
    }

    fn opened(&self, signed: &SignedStatement) -> String {
        let key = &self.posts[1].identity;
        match statement::open::<statement::Delivered>(&AwsLc, signed, &[(key.key_id(), key.public())]) {
            Ok(_) => "taken".to_owned(),
            Err(StatementError::Encoding(_)) => "BAD_ENCODING".to_owned(),
            Err(other) => format!("{other:?}"),
        }
    }

    fn admitted(&self, submission: &v1::Submission) -> String {
        let enrolled = Enrolled(self.posts.iter().collect());
        let gateway = admit(submission, &self.posts[0].address, &enrolled).map_or_else(str::to_owned, |_| "taken".to_owned());
        let reader = match read(&self.posts[1], &enrolled, &delivery(submission, 0)) {
            Ok(_) => "taken".to_owned(),
            // The form is sound; the wrap was made for the context as it was.
            Err(name) if name == "Unwrap" => "taken".to_owned(),
            // What a reader calls a bad wrap.
            Err(name) if name == "Wrap" => "BAD_ENCODING".to_owned(),
            Err(name) => name,
        };
        if gateway == reader { gateway } else { format!("{gateway} at the gateway, {reader} at the recipient") }
    }
}

const ALL: [Level; 5] = [H, C, W, S, N];

/// Applies `edit` to the fields of each of `levels` and demands `BAD_ENCODING`.
fn refused(name: &str, levels: &[Level], edit: impl Fn(Level, &mut Fields)) {
    let stage = Stage::new();
    for level in levels {
        let mut fields = Fields::split(&stage.bytes(*level));
        assert_eq!(stage.check(*level, &fields.join()), "taken", "{level:?} as it is");
        edit(*level, &mut fields);
        let bytes = fields.join();
        assert_ne!(bytes, stage.bytes(*level), "{name} changes {level:?}");
        assert_eq!(stage.check(*level, &bytes), "BAD_ENCODING", "{name}, {level:?}");
    }
}

/// As `refused`, for what a protobuf library lets pass: prost reads the same message as before, so the comparison of bytes is what stops it.
fn differential(name: &str, levels: &[Level], edit: impl Fn(Level, &mut Fields)) {
    let stage = Stage::new();
    for level in levels {
        let mut fields = Fields::split(&stage.bytes(*level));
        edit(*level, &mut fields);
        let (good, bad) = (stage.bytes(*level), fields.join());
        let same = match level {
            H => v1::Header::decode(&*bad) == v1::Header::decode(good),
            C => v1::Context::decode(&*bad) == v1::Context::decode(good),
            W => v1::Wrap::decode(&*bad) == v1::Wrap::decode(good),
            S => v1::MailboxStatement::decode(&*bad) == v1::MailboxStatement::decode(good),
            N => SignedStatement::decode(&*bad) == SignedStatement::decode(good),
        };
        assert!(same, "{name}, {level:?}: prost reads another message");
    }
    refused(name, levels, edit);
}

#[test]
fn a_field_given_twice() {
    for at in 0..3 {
        differential("the same value twice", &[H, C, W], |_, fields| fields.insert(at + 1, fields.0[at].clone()));
    }
    differential("another value before the last", &[W], |_, fields| {
        fields.0.splice(0..0, [varint_field(1, 5), varint_field(1, 0)]).for_each(drop)
    });
    differential("another value before the last", &[C], |_, fields| fields.insert(0, varint_field(1, 2)));
    differential("a part of a message before the rest", &[S], |_, fields| fields.insert(0, bytes_field(1, &varint_field(1, 1))));
    differential("the same value twice", &[N], |_, fields| fields.insert(0, fields.0[0].clone()));
}

#[test]
fn fields_out_of_order() {
    differential("first field last", &ALL, |_, fields| {
        let first = fields.0.remove(0);
        fields.0.push(first);
    });
    differential("last two swapped", &ALL, |_, fields| {
        let last = fields.0.len() - 1;
        fields.0.swap(last - 1, last);
    });
}

#[test]
fn fields_that_nobody_knows() {
    for unknown in [varint_field(100, 1), bytes_field(101, b"x"), bytes_field(102, b""), fixed32_field(103), group(104)] {
        differential("unknown at the end", &ALL, |_, fields| fields.0.push(unknown.clone()));
        differential("unknown at the start", &ALL, |_, fields| fields.0.insert(0, unknown.clone()));
    }
}

#[test]
fn defaults_written_out() {
    // Header and SignedStatement have no field that is absent; there it stands before the real one, which wins.
    differential("bytes of no length", &[H, W], |level, fields| fields.insert(1, bytes_field(if level == H { 2 } else { 4 }, b"")));
    differential("a zero", &[W], |_, fields| fields.insert(0, varint_field(1, 0)));
    differential("a zero", &[H], |_, fields| fields.insert(0, varint_field(4, 0)));
    differential("a zero", &[N], |_, fields| fields.insert(0, varint_field(1, 0)));
    refused("an empty signature", &[N], |_, fields| fields.0.push(bytes_field(3, b"")));
    let stage = Stage::new();
    let plain = stage::context(&[&stage.posts[0], &stage.posts[2]], &[&stage.posts[1]]);
    for (name, field) in [
        ("exercise = false", varint_field(27, 0)),
        ("in_reply_to of no length", bytes_field(20, b"")),
        ("via_group of no length", bytes_field(19, b"")),
        ("previous without fields", bytes_field(28, b"")),
        ("an authority without fields", bytes_field(25, b"")),
        ("a signer without fields", bytes_field(7, b"")),
        ("a recipient of no length", bytes_field(8, b"")),
    ] {
        let context = encoded(&plain);
        assert_eq!(stage.check(C, &context), "taken");
        let mut fields = Fields::split(&context);
        let at = fields.0.iter().take_while(|other| tag(other) <= tag(&field)).count();
        fields.0.insert(at, field);
        assert_eq!(stage.check(C, &fields.join()), "BAD_ENCODING", "{name}");
    }
    refused("an attachment without fields", &[H], |_, fields| fields.0.push(bytes_field(6, b"")));
    refused("an item without fields", &[S], |_, fields| fields.insert(1, bytes_field(2, b"")));
    differential("a zero inside the head", &[S], |_, fields| fields.within(1, |head| head.0.push(varint_field(8, 0))));
}

#[test]
fn numbers_and_lengths_in_more_bytes_than_needed() {
    differential("a long tag", &ALL, |_, fields| {
        let first = &mut fields.0[0];
        first[0] |= 0x80;
        first.insert(1, 0);
    });
    // Every level has a number somewhere.
    differential("a long number", &[H, C, W, S, N], |level, fields| {
        let number = match level {
            H => 4,
            C => 1,
            W => 3,
            S => 3,
            N => 1,
        };
        let field = fields.of(number);
        let last = field.len() - 1;
        field[last] |= 0x80;
        field.push(0);
    });
    differential("a long length", &ALL, |level, fields| {
        let number = match level {
            H | S => 1,
            C | W | N => 2,
        };
        let field = fields.of(number);
        let value = value(field).to_vec();
        let (mut length, mut long) = (varint(value.len() as u64), field[..1].to_vec());
        *length.last_mut().expect("a byte") |= 0x80;
        length.push(0);
        long.append(&mut length);
        *field = [long, value].concat();
    });
}

#[test]
fn numbers_that_wrap_around() {
    differential("an enum of more than 32 bits", &[C], |_, fields| *fields.of(9) = varint_field(9, (1 << 32) + 1));
    differential("a number of more than 32 bits", &[C], |_, fields| *fields.of(4) = varint_field(4, (1 << 32) + 2026));
    differential("a truth of two", &[C], |_, fields| *fields.of(27) = varint_field(27, 2));
    differential("a kem of more than 32 bits", &[W], |_, fields| *fields.of(3) = varint_field(3, (1 << 32) + 25_722));
    differential("a kind of more than 32 bits", &[N], |_, fields| *fields.of(1) = varint_field(1, (1 << 32) + 5));
    differential("a clock of more than 32 bits", &[S], |_, fields| *fields.of(4) = varint_field(4, (1 << 32) + 2));
}

#[test]
fn enums_without_a_name() {
    let levels = [(C, vec![9, 10, 11, 12, 15, 16, 26]), (W, vec![3]), (S, vec![4]), (N, vec![1])];
    for (level, numbers) in levels {
        for number in numbers {
            for value in [0, 99, u64::from(u32::MAX), u64::MAX] {
                refused("an unnamed value", &[level], |_, fields| *fields.of(number) = varint_field(number, value));
            }
            refused("an absent enum", &[level], |_, fields| fields.drop(number));
        }
    }
    for value in [0, 3, 99] {
        refused("a signer's algorithm", &[C], |_, fields| fields.within(7, |signer| *signer.of(2) = varint_field(2, value)));
        refused("an authority's kind", &[C], |_, fields| fields.within(25, |authority| *authority.of(1) = varint_field(1, value + 4)));
    }
}

#[test]
fn texts_that_are_not_of_their_grammar() {
    for text in ["ke\u{202e}", "k\u{435}", "KE", "ke ", " ke", "ke\0", "ke/", "", "ke\u{0301}", "grp/wg\u{200b}/x"] {
        for number in [2, 3, 8, 19] {
            refused(text, &[C], |_, fields| *fields.of(number) = bytes_field(number, text.as_bytes()));
        }
        for number in [2, 3, 4] {
            refused(text, &[S], |_, fields| fields.within(1, |head| *head.of(number) = bytes_field(number, text.as_bytes())));
        }
    }
    for bytes in [&b"\xff"[..], b"k\xc0\xaf", b"k\xed\xa0\x80", b"ke\xe2\x80"] {
        refused("not UTF-8", &[C], |_, fields| *fields.of(3) = bytes_field(3, bytes));
        refused("not UTF-8", &[S], |_, fields| fields.within(1, |head| *head.of(3) = bytes_field(3, bytes)));
    }
}

#[test]
fn bytes_that_are_no_message() {
    refused("a length beyond the end", &ALL, |_, fields| {
        let last = fields.0.len() - 1;
        fields.0[last] = [vec![0x12], varint(100_000)].concat();
    });
    refused("cut", &ALL, |_, fields| {
        fields.0.last_mut().expect("a field").pop();
    });
    refused("a zero behind", &ALL, |_, fields| fields.0.push(vec![0]));
    refused("a tag behind", &ALL, |_, fields| fields.0.push(vec![0x08]));
    refused("a number without end", &ALL, |_, fields| fields.0.push(vec![0xff; 11]));
    refused("a field of tag 0", &ALL, |_, fields| fields.0.push(vec![0x02, 0x00]));
    refused("another wire type", &ALL, |_, fields| {
        let first = &mut fields.0[0];
        *first = [vec![(first[0] & !7) | 1], vec![1; 8]].concat();
    });
    refused("nothing", &ALL, |_, fields| fields.0.clear());
    refused("a group left open", &ALL, |_, fields| fields.0.push(vec![0x83, 0x06]));
}

#[test]
fn bad_encodings_inside() {
    // Doubled, unknown and defaults one level down, where a library merges without a word.
    for (level, number) in [(C, 7), (C, 25), (C, 28), (H, 6), (S, 1), (S, 2), (N, 3)] {
        differential("doubled inside", &[level], |_, fields| fields.within(number, |inner| inner.insert(0, inner.0[0].clone())));
        differential("unknown inside", &[level], |_, fields| fields.within(number, |inner| inner.0.push(varint_field(100, 1))));
        differential("out of order inside", &[level], |_, fields| fields.within(number, |inner| inner.0.reverse()));
    }
    // The context is bytes in the header: its own form is judged as well.
    let stage = Stage::new();
    for (name, edit) in [
        ("doubled", (|context: &mut Fields| context.insert(1, context.0[0].clone())) as fn(&mut Fields)),
        ("doubled deep inside", |context| context.within(28, |previous| previous.insert(0, previous.0[0].clone()))),
    ] {
        let mut context = Fields::split(&stage.bytes(C));
        edit(&mut context);
        let mut header = Fields::split(&stage.bytes(H));
        *header.of(1) = bytes_field(1, &context.join());
        assert_eq!(stage.check(H, &header.join()), "BAD_ENCODING", "{name}");
    }
}

#[test]
fn fields_that_must_be_there() {
    let optional = [19, 20, 21, 22, 23, 25, 27, 28];
    for number in (1..=28).filter(|number| ![13, 14, 17, 24].contains(number) && !optional.contains(number)) {
        refused(&format!("without field {number}"), &[C], |_, fields| fields.drop(number));
    }
    for number in [13, 14, 24] {
        refused(&format!("without field {number}"), &[C], |_, fields| fields.drop(number));
    }
    for (level, numbers) in [(H, vec![1, 2, 3, 4, 5]), (W, vec![2, 3, 4, 5]), (S, vec![1, 2, 3, 4]), (N, vec![1, 2, 3])] {
        for number in numbers {
            refused(&format!("without field {number}"), &[level], |_, fields| fields.drop(number));
        }
    }
    for number in 1..=7 {
        refused(&format!("head without field {number}"), &[S], |_, fields| {
            fields.within(1, |head| if number == 7 { head.insert(7, varint_field(8, 1)) } else { head.drop(number) })
        });
    }
}

#[test]
fn sizes_of_digests() {
    for (level, numbers) in [(H, vec![2, 3, 5]), (C, vec![18, 20, 21, 22, 23, 24]), (W, vec![2, 4, 5])] {
        for number in numbers {
            refused("a byte less", &[level], |_, fields| {
                let bytes = value(fields.of(number)).to_vec();
                *fields.of(number) = bytes_field(number, &bytes[1..]);
            });
            refused("a byte more", &[level], |_, fields| {
                let bytes = value(fields.of(number)).to_vec();
                *fields.of(number) = bytes_field(number, &[&bytes[..], &[0]].concat());
            });
        }
    }
}

#[test]
fn another_version_is_named_before_anything_else() {
    let stage = Stage::new();
    for version in [0, 2, u32::MAX] {
        let mut context = v1::Context::decode(stage.bytes(C)).expect("a context");
        context.version = version;
        // It is of the future in other ways, too; the version is what is reported.
        context.kind = 99;
        let bytes = [&context.encode_to_vec()[..], &varint_field(99, 1)].concat();
        let wanted = EncodingError::Version { what: "the context", version };
        assert_eq!(envelope::canonical::decode::<v1::Context>(&bytes).err(), Some(wanted));
        assert_eq!(stage.check(C, &bytes), "BAD_ENCODING");
        refused("another version", &[S], |_, fields| fields.within(1, |head| *head.of(1) = varint_field(1, version.into())));
    }
}

#[test]
fn counts_and_sizes_have_bounds() {
    let stage = Stage::new();
    let mut context = v1::Context::decode(stage.bytes(C)).expect("a context");
    let authority = context.authorities[0].clone();
    context.authorities = vec![authority.clone(); 16];
    assert_eq!(stage.check(C, &context.encode_to_vec()), "taken");
    context.authorities = vec![authority; 17];
    assert_eq!(stage.check(C, &context.encode_to_vec()), "BAD_ENCODING");
    let mut context = v1::Context::decode(stage.bytes(C)).expect("a context");
    context.signers.extend((0..3).map(|at| v1::SignerRef { key_id: vec![at; 32].into(), alg: 1 }));
    assert_eq!(stage.check(C, &context.encode_to_vec()), "BAD_ENCODING", "five signers");
    let mut context = v1::Context::decode(stage.bytes(C)).expect("a context");
    context.signers[1] = context.signers[0].clone();
    assert_eq!(stage.check(C, &context.encode_to_vec()), "BAD_ENCODING", "one signer twice");
    let mut context = v1::Context::decode(stage.bytes(C)).expect("a context");
    context.recipients = (0..513).map(|at| format!("ke/x{at}")).collect();
    assert_eq!(stage.check(C, &context.encode_to_vec()), "BAD_ENCODING", "513 recipients");
    context.recipients.pop();
    assert!(envelope::canonical::decode::<v1::Context>(&context.encode_to_vec()).is_ok(), "512 recipients");
    for (year, series, number) in [(1999, 1, 1), (10_000, 1, 1), (0, 1, 1), (2026, 0, 1), (2026, 1, 0)] {
        let context = v1::Context { year, series, number, ..v1::Context::decode(stage.bytes(C)).expect("a context") };
        assert_eq!(stage.check(C, &context.encode_to_vec()), "BAD_ENCODING", "{year}.{series}/{number}");
    }
    let mut fields = header_of(&stage.submission);
    for chunk_log2 in [15, 19, u32::MAX] {
        fields.attachments[0].chunk_log2 = chunk_log2;
        assert_eq!(stage.check(H, &fields.encode_to_vec()), "BAD_ENCODING", "2^{chunk_log2}");
    }
    fields.attachments[0].chunk_log2 = 18;
    fields.attachments = vec![fields.attachments[0].clone(); 33];
    assert_eq!(stage.check(H, &fields.encode_to_vec()), "BAD_ENCODING", "33 attachments");
    let long = vec![0; 64 * 1024 + 1];
    let too_large = |error| matches!(error, Some(EncodingError::TooLarge { max: 65_536, .. }));
    assert!(too_large(Header::parse(&long.clone().into(), &network()).err()));
    assert!(too_large(envelope::canonical::decode::<v1::KeyStatement>(&long).err()));
    assert!(matches!(Wrap::parse(&vec![0; 2049].into()).err(), Some(EncodingError::TooLarge { max: 2048, .. })));
}

#[test]
fn what_is_hashed_is_what_was_received() {
    let stage = Stage::new();
    let header = parsed(&stage.submission);
    assert_eq!(header.bytes, signed(&stage.submission).header);
    assert_eq!(header.message_id, tlog::sha256(&[b"ecowire/1 message\0", &header.bytes[..]].concat()));
    assert_eq!(header.context_hash, tlog::sha256(&[b"ecowire/1 context\0", &stage.bytes(C)[..]].concat()));
    assert_eq!(header::message_id(b""), tlog::sha256(b"ecowire/1 message\0"));
    assert_eq!(HEADER_TYPE, "application/vnd.ecowire.header.v1+protobuf");
}

/// The fields of an encoded message, each with its tag and length.
#[derive(Clone)]
struct Fields(Vec<Vec<u8>>);

impl Fields {
    fn split(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let mut rest = bytes;
            let wire = take_varint(&mut rest) & 7;
            let number = take_varint(&mut rest);
            let skip = match wire {
                0 => 0,
                2 => number as usize,
                other => panic!("wire type {other} is not ours"),
            };
            let length = bytes.len() - rest.len() + skip;
            fields.push(bytes[..length].to_vec());
            bytes = &bytes[length..];
        }
        Self(fields)
    }

    fn join(&self) -> Vec<u8> {
        self.0.concat()
    }

    /// The first field of that number.
    fn of(&mut self, number: u32) -> &mut Vec<u8> {
        self.0.iter_mut().find(|field| tag(field) == number).expect("the field is there")
    }

    fn drop(&mut self, number: u32) {
        self.of(number);
        self.0.retain(|field| tag(field) != number);
    }

    fn insert(&mut self, at: usize, field: Vec<u8>) {
        self.0.insert(at, field);
    }

    /// Edits the message inside the first field of that number.
    fn within(&mut self, number: u32, edit: impl Fn(&mut Fields)) {
        let field = self.of(number);
        let mut inner = Self::split(value(field));
        edit(&mut inner);
        *field = bytes_field(number, &inner.join());
    }
}

fn tag(field: &[u8]) -> u32 {
    (take_varint(&mut &field[..]) >> 3) as u32
}

/// The bytes of a length-delimited field.
fn value(field: &[u8]) -> &[u8] {
    let mut rest = field;
    take_varint(&mut rest);
    take_varint(&mut rest);
    rest
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().expect("a byte");
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            return number;
        }
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn varint_field(number: u32, value: u64) -> Vec<u8> {
    [varint(u64::from(number) << 3), varint(value)].concat()
}

fn bytes_field(number: u32, value: &[u8]) -> Vec<u8> {
    [varint(u64::from(number) << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn fixed32_field(number: u32) -> Vec<u8> {
    [varint(u64::from(number) << 3 | 5), vec![1; 4]].concat()
}

/// An empty group, which no writer of proto3 makes and every reader skips.
fn group(number: u32) -> Vec<u8> {
    [varint(u64::from(number) << 3 | 3), varint(u64::from(number) << 3 | 4)].concat()
}
