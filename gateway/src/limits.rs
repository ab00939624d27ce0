//! Every bound of the gateway, a sentence each. Bounds of the formats stand in `envelope::limits`.
//!
//! Those that an operator may set have their default here, and their key and range in [`crate::bounds`]. The others are
//! fixed: what a batch carries, since the ledger takes no more; sizes of requests, the mailbox credit and recorded refusals,
//! since clients and auditors count on them; what guards the clock, since it guards against its operator, too; pages,
//! ticks and the rest, since nothing gets better by another value.

use std::time::Duration;

/// Entries of messages that one fsync carries.
pub const BATCH_MESSAGES_MAX: usize = 256;
/// Commands that a batch takes from the queue; the rest of the entries is for what the gateway says by itself.
pub const COMMANDS_MAX: usize = BATCH_MESSAGES_MAX - 16;
/// Head, state claim and a little room, in every batch.
pub const OWN_ENTRIES_MAX: usize = 4;
/// Bytes that one fsync carries.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
// A batch that the ledger would not take must not be filled.
const _: () = assert!(BATCH_MESSAGES_MAX + OWN_ENTRIES_MAX <= ledger::BATCH_DRAFTS_MAX && BATCH_BYTES_MAX <= ledger::BATCH_BYTES_MAX);
/// Messages that wait for the writer, all senders together.
pub const QUEUE_MESSAGES_MAX: usize = 4096;
/// Bytes that wait for the writer.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Messages of one participant between verification and answer.
pub const IN_FLIGHT_MESSAGES_MAX: usize = 256;
/// Bytes of one participant between verification and answer.
pub const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;
/// Deliveries that a client may ask for at once.
pub const MAILBOX_CREDIT_MAX: u32 = 1024;
/// Messages to several that are kept ready for those who have not fetched them yet.
pub const DELIVERIES_KEPT_MAX: usize = 64;
/// Bytes of them: some thirty broadcasts to every bureau.
pub const DELIVERIES_KEPT_BYTES_MAX: usize = 16 << 20;
/// Refusals of one sender that get an entry of their own within a minute; the rest is counted.
pub const REFUSALS_PER_MINUTE: u32 = 60;
/// Connections of all participants.
pub const CONNECTIONS_MAX: usize = 12_288;
/// Connections of one participant: an eighth of all would let few starve many; a bureau runs a handful.
pub const CONNECTIONS_PER_PARTICIPANT_MAX: usize = 64;
/// TLS handshakes under way.
pub const HANDSHAKES_MAX: usize = 1024;
/// TLS handshakes under way from one source: before the handshake nothing else is known of who knocks.
pub const HANDSHAKES_PER_SOURCE_MAX: usize = HANDSHAKES_MAX / 8;
/// A handshake takes no longer.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The HTTP/2 preface comes within.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without a stream is closed after.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(900);
/// A connection is closed after this age, plus up to a tenth; its open calls get [`SHUTDOWN_GRACE`] to end.
pub const CONNECTION_AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// Concurrent streams of a connection.
pub const STREAMS_MAX: u32 = 128;
/// Streams that we reset for the peer's errors before the connection ends.
pub const LOCAL_ERROR_RESETS_MAX: usize = 1024;
/// Streams that the peer may open and reset before the connection ends.
pub const PENDING_ACCEPT_RESETS_MAX: usize = 20;
/// Bytes of a header list.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 << 10;
/// Bytes of a submission: 512 wraps, a header, the largest content.
pub const SUBMISSION_BYTES_MAX: usize = 2 << 20;
/// Bytes of any other request.
pub const REQUEST_BYTES_MAX: usize = 256 << 10;
/// Bytes that a connection may have unread.
pub const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes that a stream may have unread.
pub const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes that wait to be sent on a stream.
pub const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Bytes of one participant's large requests that have begun and not ended: four of the largest submissions.
pub const UNFINISHED_BYTES_PER_PARTICIPANT_MAX: usize = 4 * SUBMISSION_BYTES_MAX;
/// Answers of one participant's submissions that it has not read: four streams with all that it may have in flight.
pub const ANSWERS_PER_PARTICIPANT_MAX: usize = 4 * IN_FLIGHT_MESSAGES_MAX;
/// Calls of Receive of one participant: a bureau has a handful of desks.
pub const MAILBOXES_PER_PARTICIPANT_MAX: usize = 8;
/// Deliveries of one call of Receive that wait for its reader.
pub const DELIVERIES_WAITING_MAX: usize = 2;
/// Calls of Snapshot of one participant whose page has not been sent: a page may have [`SNAPSHOT_PAGE_BYTES`].
pub const PAGES_PER_PARTICIPANT_MAX: usize = 4;
/// Calls of Replay of all participants: each takes one of the runtime's 512 threads for blocking work.
pub const REPLAYS_MAX: usize = 64;
/// Key statements of one participant in an hour, and permissions: a key lives for months, a permission for days.
pub const KEYS_PER_HOUR: u32 = 128;
/// Enrolments, standings, grants or groups of one participant in an hour: a bureau that begins enrols its hundreds in one.
pub const STATEMENTS_PER_HOUR: u32 = 2048;
/// Calls of Replay of one participant: a client replays once.
pub const REPLAYS_PER_PARTICIPANT_MAX: usize = 4;
/// Entries of one call of Replay that wait for its reader.
pub const REPLAYED_WAITING_MAX: usize = 16;
/// Lines a minute that the log has of one reason for which somebody is turned away.
pub const REFUSALS_LOGGED_PER_MINUTE: u32 = 60;
/// Ping of an idle connection, and how long its answer may take.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a ping's answer may take.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Wall and monotonic clock may part by this much within [`CLOCK_WINDOW_MS`].
pub const CLOCK_DRIFT_MAX_MS: u64 = 5_000;
/// The window of [`CLOCK_DRIFT_MAX_MS`].
pub const CLOCK_WINDOW_MS: u64 = 60_000;
/// At start, the wall clock may lie this long after the last entry.
pub const CLOCK_START_GAP_MAX_MS: u64 = 24 * 3_600_000;
/// Bytes of statements in one response of Snapshot.
pub const SNAPSHOT_PAGE_BYTES: usize = 3 << 20;
/// A busy answer asks to come back after.
pub const RETRY_AFTER_MS: u64 = 500;
/// How often certificates, revocation lists and deadlines are looked at.
pub const TICK: Duration = Duration::from_secs(1);
/// Open connections get this long to end their calls on shutdown.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Places that one batch says something about: that they have ended, or who is told that they are not acknowledged.
pub const DUE_PLACES_PER_BATCH: usize = 128;
/// Bidirectional streams of a QUIC connection, each an HTTP/2 connection: small calls, bulk, and room to replace both.
/// Unidirectional ones there are none.
pub const QUIC_STREAMS_MAX: u32 = 4;
/// QUIC handshakes of addresses that were not validated; whoever comes then gets a Retry, which costs us no memory.
pub const QUIC_UNVALIDATED_HANDSHAKES_MAX: usize = 64;
/// QUIC connections that have knocked and not been taken up.
pub const QUIC_INCOMING_MAX: usize = 256;
/// Bytes of each of them that wait: a ClientHello with a post-quantum key share fits in two datagrams.
pub const QUIC_INCOMING_BYTES_MAX: u64 = 16 << 10;
/// Bytes of all of them.
pub const QUIC_INCOMING_BYTES_TOTAL_MAX: u64 = 1 << 20;
/// Bytes that a QUIC stream may have unread; HTTP/2 reads at once and has its own windows.
pub const QUIC_STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// Bytes that a QUIC connection may have unread.
pub const QUIC_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes that a QUIC connection has sent without an acknowledgement.
pub const QUIC_SEND_WINDOW_BYTES: u64 = 1 << 20;
/// After its last stream a QUIC connection stays for the client to read the last bytes.
pub const QUIC_LINGER: Duration = Duration::from_secs(3);
/// Bytes that the system keeps for the UDP socket, each way, if it lets us: all connections share it.
pub const QUIC_SOCKET_BYTES: usize = 4 << 20;
/// Ports tried, when any will do, until one is free over both TCP and UDP.
pub const PORT_PAIRS_MAX: u32 = 64;
/// Requests under way on the metrics port; a scraper and two probes need three.
pub const PAGES_MAX: usize = 16;
/// A request on the metrics port takes no longer, its connection included.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The doctor waits no longer for an answer.
pub const DOCTOR_PATIENCE: Duration = Duration::from_secs(5);
/// Traces that wait for the collector; more are lost and counted.
pub const OTLP_QUEUE_TRACES_MAX: usize = 4096;
/// Traces of one request to the collector: about 250 KiB.
pub const OTLP_REQUEST_TRACES_MAX: usize = 512;
/// A request to the collector takes no longer.
pub const OTLP_TIMEOUT: Duration = Duration::from_secs(3);
/// After a request that failed, the collector is left alone for.
pub const OTLP_PAUSE: Duration = Duration::from_secs(5);
