//! The words that people say for the enums of the contract: kinds, priorities, states.
//!
//! It does not know what a kind may do; the rules do.

use crate::v1::{
    AdviceKind, Audience, AuthorityKind, Classification, EntryKind, GroupSenders, Handling, Kind, OptOut, OversightMode, ParticipantState,
    Priority, RecipientState, ReleaseReason, ReleaseVerdict, StandingReason,
};

/// An enum of the contract with a name for people: `KIND_NOTICE_REQUEST` reads `notice-request`.
pub trait Word: Copy + Sized + 'static {
    /// What the proto names begin with.
    const PREFIX: &'static str;
    /// The name in the proto file.
    fn proto_name(self) -> &'static str;
    /// Reads the name in the proto file.
    fn from_proto_name(name: &str) -> Option<Self>;

    /// All that can be said, in the order of the proto file.
    fn all() -> Vec<Self>;

    /// The words of all, without the unspecified value.
    #[must_use]
    fn words() -> Vec<String> {
        Self::all().into_iter().map(Self::word).filter(|word| Self::from_word(word).is_some()).collect()
    }

    /// The word.
    #[must_use]
    fn word(self) -> String {
        let name = self.proto_name();
        name.strip_prefix(Self::PREFIX).unwrap_or(name).to_ascii_lowercase().replace('_', "-")
    }

    /// Reads the word; the unspecified value has none.
    #[must_use]
    fn from_word(word: &str) -> Option<Self> {
        let name = word.to_ascii_uppercase().replace('-', "_");
        if name == "UNSPECIFIED" {
            return None;
        }
        Self::from_proto_name(&format!("{}{name}", Self::PREFIX))
    }
}

macro_rules! words {
    ($($type:ty, $prefix:literal;)*) => {
        $(impl Word for $type {
            const PREFIX: &'static str = $prefix;
            fn proto_name(self) -> &'static str {
                self.as_str_name()
            }
            fn from_proto_name(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }
            fn all() -> Vec<Self> {
                (0..NUMBERS_END).filter_map(|number| Self::try_from(number).ok()).collect()
            }
        })*
    };
}

words! {
    Kind, "KIND_";
    Priority, "PRIORITY_";
    Classification, "CLASSIFICATION_";
    Handling, "HANDLING_";
    OptOut, "OPT_OUT_";
    RecipientState, "RECIPIENT_STATE_";
    ParticipantState, "PARTICIPANT_STATE_";
    OversightMode, "OVERSIGHT_MODE_";
    StandingReason, "STANDING_REASON_";
    Audience, "AUDIENCE_";
    GroupSenders, "GROUP_SENDERS_";
    EntryKind, "ENTRY_KIND_";
    AuthorityKind, "AUTHORITY_KIND_";
    ReleaseVerdict, "RELEASE_VERDICT_";
    ReleaseReason, "RELEASE_REASON_";
    AdviceKind, "ADVICE_KIND_";
}

/// No value of these enums has a number from here on.
const NUMBERS_END: i32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for kind in [Kind::Ecomessage, Kind::NoticeRequest, Kind::Void, Kind::DeletionAttestation] {
            assert_eq!(Kind::from_word(&kind.word()), Some(kind));
        }
        assert_eq!(Kind::NoticeRequest.word(), "notice-request");
        assert_eq!(Kind::from_word("notice_request"), Some(Kind::NoticeRequest));
        assert_eq!(Classification::from_word("restricted"), Some(Classification::Restricted));
        assert_eq!(Handling::from_word("h2"), Some(Handling::H2));
        assert_eq!(OptOut::from_word("ongoing-operation"), Some(OptOut::OngoingOperation));
        assert_eq!(Kind::from_word("unspecified"), None);
        assert_eq!(Kind::from_word("KIND_VOID"), None);
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(Priority::words(), ["routine", "urgent", "flash"]);
        assert_eq!(Handling::words(), ["h0", "h1", "h2", "h3"]);
        assert!(Kind::words().contains(&"notice-request".to_owned()) && !Kind::words().contains(&"unspecified".to_owned()));
    }
}
