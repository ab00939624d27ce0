//! The forms of what is sealed: one for each kind of message that says something.
//!
//! It knows their names and the proto message of each, not what they should say. VOID has none: its number is all that it says.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};

macro_rules! forms {
    ($($form:ident, $name:literal, $message:literal, $comment:literal;)*) => {
        /// What a sealed content is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Form {
            $(#[doc = $comment] $form,)*
        }

        impl Form {
            /// All of them, in the order of the message kinds.
            pub const ALL: &'static [Self] = &[$(Self::$form,)*];

            /// Its name: `notice-request`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$form => $name,)* }
            }

            /// Its media type in protobuf, as it is sealed: `application/vnd.ecowire.notice-request.v1+protobuf`.
            #[must_use]
            pub fn media_type(self) -> &'static str {
                match self { $(Self::$form => concat!("application/vnd.ecowire.", $name, ".v1+protobuf"),)* }
            }

            fn message(self) -> &'static str {
                match self { $(Self::$form => concat!("ecowire.content.v1.", $message),)* }
            }
        }
    };
}

forms! {
    Message, "message", "DirectMessage", "MESSAGE: a direct message.";
    Request, "request", "Request", "REQUEST for information.";
    Reply, "reply", "Reply", "REPLY to a request.";
    Ecomessage, "ecomessage", "EcoMessage", "ECOMESSAGE: the standard report.";
    Alert, "alert", "Alert", "ALERT: it is here now.";
    Warning, "warning", "Warning", "WARNING: it is on its way.";
    Feedback, "feedback", "Feedback", "FEEDBACK: what became of a warning.";
    Seizure, "seizure", "Seizure", "SEIZURE in an operation.";
    Query, "query", "Query", "QUERY at a responder.";
    QueryResult, "query-result", "QueryResult", "QUERY_RESULT: hit or no hit.";
    Hit, "hit", "Hit", "HIT, to the data's owner.";
    HitConfirmation, "hit-confirmation", "HitConfirmation", "HIT_CONFIRMATION, by the data's owner.";
    NoticeRequest, "notice-request", "NoticeRequest", "NOTICE_REQUEST.";
    Notice, "notice", "Notice", "NOTICE.";
    NoticeUpdate, "notice-update", "NoticeUpdate", "NOTICE_UPDATE.";
    NoticeCancel, "notice-cancel", "NoticeCancel", "NOTICE_CANCEL.";
    Diffusion, "diffusion", "Diffusion", "DIFFUSION: as a notice, to chosen bureaus.";
    DiffusionCancel, "diffusion-cancel", "DiffusionCancel", "DIFFUSION_CANCEL.";
    ControlledDelivery, "controlled-delivery", "ControlledDelivery", "CONTROLLED_DELIVERY.";
    ExpertRequest, "expert-request", "ExpertRequest", "EXPERT_REQUEST: what is it?";
    Correction, "correction", "Correction", "CORRECTION by the source.";
    Deletion, "deletion", "Deletion", "DELETION, asked by the source.";
    DeletionAttestation, "deletion-attestation", "DeletionAttestation", "DELETION_ATTESTATION by a recipient.";
    Service, "service", "Service", "SERVICE: outages, changes, incidents.";
}

impl Form {
    /// By its name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|form| form.name() == name)
    }

    /// By its media type; letters count as they are written.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|form| form.media_type() == media_type)
    }

    /// The description of its message.
    pub(crate) fn descriptor(self) -> MessageDescriptor {
        static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
            let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/content.bin"));
            DescriptorPool::decode(bytes).expect("the compiler wrote it")
        });
        POOL.get_message_by_name(self.message()).expect("it is in the files")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_found_by_its_names() {
        for form in Form::ALL.iter().copied() {
            assert_eq!(Form::of_name(form.name()), Some(form));
            assert_eq!(Form::of_media_type(form.media_type()), Some(form));
            assert_eq!(form.media_type(), format!("application/vnd.ecowire.{}.v1+protobuf", form.name()));
            assert!(form.descriptor().fields().len() > 0, "{form:?}");
        }
        assert_eq!(Form::of_media_type("application/json"), None);
        assert_eq!(Form::Ecomessage.media_type(), crate::ECOMESSAGE_TYPE);
    }
}
