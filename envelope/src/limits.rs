//! Every bound of the format, a sentence each. Bounds of the gateway's queues stand in the gateway's `limits.rs`.

/// Bytes of an address: it must fit a certificate, a header and a screen.
pub const ADDRESS_BYTES_MAX: usize = 64;
/// Segments of an address: `cn/hk/cus/site` is the deepest.
pub const ADDRESS_SEGMENTS_MAX: usize = 4;
/// Bytes of a network's name.
pub const NETWORK_BYTES_MAX: usize = 64;
/// Bytes of a signed header: 512 recipients of 64 bytes fit twice.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Recipients of a message: every NCB, every desk, and room.
pub const RECIPIENTS_MAX: usize = 512;
/// Signers of a message: the sender, two seats, and a later post-quantum key.
pub const SIGNERS_MAX: usize = 4;
/// Statements that a header may lean on.
pub const AUTHORITIES_MAX: usize = 16;
/// Attachments that a header may name.
pub const ATTACHMENTS_MAX: usize = 32;
/// Bytes of an encrypted attachment: 1 GiB and the tags of its chunks.
pub const ATTACHMENT_BYTES_MAX: u64 = (1 << 30) + (1 << 18);
/// Bytes of a file that is sent inline, before padding and sealing.
pub const CONTENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an encrypted content: the largest file, its media type, padding of at most 12 % and the tag.
pub const CIPHERTEXT_BYTES_MAX: usize = 300 * 1024;
/// Bytes of a media type (RFC 6838 allows 127 for each half; we allow it for both).
pub const MEDIA_TYPE_BYTES_MAX: usize = 127;
/// Bytes of one wrap: X-Wing takes 1,212.
pub const WRAP_BYTES_MAX: usize = 2 * 1024;
/// Bytes of a statement but genesis.
pub const STATEMENT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a genesis: 10,000 participants with their chains.
pub const GENESIS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Encryption keys of one participant: the current one and what it may still have to open with.
pub const KEYS_MAX: usize = 16;
/// Messages that one DELIVERED or ACKNOWLEDGED may name.
pub const MAILBOX_ITEMS_MAX: usize = 64;
/// Bytes of an auditor's purpose.
pub const PURPOSE_BYTES_MAX: usize = 256;
/// Grants of one participant.
pub const GRANTS_MAX: usize = 32;
/// Kinds, priorities or classifications that one grant names.
pub const GRANTED_MAX: usize = 32;
/// How long a waiver lasts, in milliseconds: it cannot be taken back, so a month.
pub const WAIVER_MAX_MS: u64 = 31 * 86_400_000;
/// How long any other permission lasts, in milliseconds: a year.
pub const PERMISSION_MAX_MS: u64 = 366 * 86_400_000;
/// Bytes of a certificate: a leaf of ours has 500 to 700.
pub const CERTIFICATE_BYTES_MAX: usize = 8 * 1024;
/// Certificates of a chain, root left out: leaf, sub-bureau's CA, country's CA, and one for a cross-signing.
pub const CHAIN_MAX: usize = 4;
/// Bytes of a revocation list.
pub const CRL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a receipt: a header, 17 siblings, a path of 40 and a checkpoint fit.
pub const RECEIPT_BYTES_MAX: usize = 128 * 1024;
/// Smallest padded plaintext, in bytes.
pub const PADDED_BYTES_MIN: usize = 256;
/// How far above the highest known number a number may lie: a post that gave up 1,000 numbers still gets through.
pub const NUMBER_LEAP_MAX: u64 = 1024;
/// Gaps that a series may have at once.
pub const SERIES_GAPS_MAX: usize = 1024;
/// Bytes of a passphrase or PIN.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;
/// Memory that scrypt may ask for when a key is opened: 128·N·r bytes, sixteen times what our own keys take.
pub const SCRYPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Work that scrypt may ask for, N·r·p: twelve times what our own keys take, some seconds.
pub const SCRYPT_WORK_MAX: u64 = 1 << 23;
/// The newest rules that this program knows: version 2 also tells who is to see to a message that nobody took or has seen.
pub const RULES_VERSION_MAX: u32 = 2;
/// Rounds of PBKDF2 that a key made by others may ask for: eight times what is recommended today, some seconds.
pub const PBKDF2_ROUNDS_MAX: u32 = 5_000_000;
