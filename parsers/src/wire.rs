//! Messages of gRPC as they come from a connection, before anything is checked, and a refusal's details.

use prost::Message;
use proto::fields::{Shaped, fits};
use proto::v1;

use crate::seeds::{GOLDEN, cases, raw};

macro_rules! messages {
    ($($name:ident),* $(,)?) => {
        /// What each number reads.
        const READ: &[fn(&[u8]) -> bool] = &[$(read::<v1::$name>),*];
        /// The names, in the order of the numbers.
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

messages! {
    SubmitRequest, SubmitStreamRequest, ReceiveRequest, StatusRequest, SnapshotRequest, WatchRequest, PublishStatementRequest,
    CheckpointRequest, ConsistencyRequest, InclusionRequest, ReplayRequest, TileRequest,
    SubmitResponse, SubmitStreamResponse, ReceiveResponse, StatusResponse, SnapshotResponse, WatchResponse, PublishStatementResponse,
    CheckpointResponse, ConsistencyResponse, InclusionResponse, ReplayResponse, TileResponse, SealedPayload,
}

/// A request or a response; the first byte says which.
pub(crate) fn wire(bytes: &[u8]) -> bool {
    let Some((number, bytes)) = bytes.split_first() else { return false };
    READ.get(usize::from(*number) % READ.len()).is_some_and(|read| read(bytes))
}

/// What is decoded, encodes to something that decodes to the same; nothing grows beyond what came in, by much.
fn read<M: Message + Shaped + Default + PartialEq>(bytes: &[u8]) -> bool {
    let fits = fits::<M>(bytes);
    let Ok(message) = M::decode(bytes) else { return false };
    let encoded = message.encode_to_vec();
    assert!(fits || bytes.len() >= 2 * 1024, "a small message has too many fields");
    assert_eq!(encoded.len(), message.encoded_len());
    assert!(encoded.len() <= bytes.len() * 2 + 64, "{} bytes become {}", bytes.len(), encoded.len());
    let again = M::decode(&encoded[..]).expect("what was encoded is decoded");
    assert!(again == message, "a message that reads itself differently");
    true
}

pub(crate) fn wire_seeds() -> Vec<Vec<u8>> {
    let number = |name: &str| NAMES.iter().position(|one| *one == name).unwrap_or(0) as u8;
    let seed = |name: &str, message: &dyn Fn() -> Vec<u8>| [vec![number(name)], message()].concat();
    let mut seeds: Vec<_> = (0..NAMES.len() as u8).map(|number| vec![number, 0x0a, 0x02, 0x08, 0x01, 0x10, 0x07]).collect();
    for case in cases("message").iter().take(6) {
        let submission = v1::Submission::decode(&raw(&case["submission"])[..]).ok();
        seeds.push(seed("SubmitRequest", &|| v1::SubmitRequest { submission: submission.clone() }.encode_to_vec()));
        seeds.push(seed("SubmitStreamRequest", &|| v1::SubmitStreamRequest { submission: submission.clone() }.encode_to_vec()));
    }
    for bytes in GOLDEN.statements.iter().filter(|bytes| bytes.len() < 4096).take(4) {
        let statement = v1::SignedStatement::decode(&bytes[..]).ok();
        seeds.push(seed("PublishStatementRequest", &|| v1::PublishStatementRequest { statement: statement.clone() }.encode_to_vec()));
        let start = Some(v1::ReceiveStart { after_seq: 7, retained: true, until_caught_up: false, after_advice: 7 });
        seeds.push(seed("ReceiveRequest", &|| v1::ReceiveRequest { start, credit: 64, statement: statement.clone() }.encode_to_vec()));
    }
    seeds.push(seed("TileRequest", &|| v1::TileRequest { path: "tile/0/x001/067".to_owned() }.encode_to_vec()));
    seeds.push(seed("ReplayRequest", &|| v1::ReplayRequest { from_index: 1, to_index: 9 }.encode_to_vec()));
    let metadata = [("kind".to_owned(), "alert".to_owned())].into_iter().collect();
    let problem = v1::Problem { fault: 1, name: "NO_GRANT".to_owned(), text: "no".to_owned(), metadata, retry_after_ms: 0 };
    let response = v1::SubmitStreamResponse { tag: 3, problem: Some(problem), ..v1::SubmitStreamResponse::default() };
    seeds.push(seed("SubmitStreamResponse", &|| response.encode_to_vec()));
    seeds
}

/// The status of a call, with details by a gateway that may lie: a code, then the details.
pub(crate) fn trouble(bytes: &[u8]) -> bool {
    let Some((code, details)) = bytes.split_first() else { return false };
    client::doors::is_refusal(i32::from(*code), details)
}

pub(crate) fn trouble_seeds() -> Vec<Vec<u8>> {
    client::doors::refusals()
}
