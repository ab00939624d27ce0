//! What a check looks for, field by field, as tables: `Message.field`. Every form is looked through by the same ones.
//!
//! It knows no message that was written, only what each of its fields stands for.

use crate::identifiers::Kind;

/// Fields that must say something.
pub(crate) const REQUIRED: &[&str] = &[
    "EcoMessage.goods",
    "Heading.report_type",
    "Heading.crime_area",
    "Incident.what",
    "Incident.at",
    "Incident.place",
    "Goods.quantity",
    "Quantity.unit",
    "Subject.kind",
    "Identified.kind",
    "Identified.number",
    "DirectMessage.text",
    "Request.urgency",
    "Request.asks",
    "Reply.in_reply_to",
    "Reply.state",
    "ExpertRequest.identify",
    "Alert.subject",
    "Alert.place",
    "Alert.at",
    "Alert.seen",
    "Alert.action",
    "Warning.action",
    "Feedback.warning",
    "Feedback.result",
    "Seizure.at",
    "Seizure.place",
    "Seizure.goods",
    "ControlledDelivery.state",
    "ControlledDelivery.goods",
    "ControlledDelivery.transports",
    "ControlledDelivery.consents",
    "Consent.country",
    "Consent.state",
    "Query.subject",
    "QueryResult.query",
    "QueryResult.result",
    "HitRow.owner",
    "HitRow.confidence",
    "HitRow.before_acting",
    "Hit.query",
    "Hit.record",
    "Hit.asked",
    "Hit.asked_by",
    "Hit.at",
    "HitConfirmation.hit",
    "HitConfirmation.state",
    "NoticeBody.colour",
    "NoticeBody.crime_area",
    "NoticeBody.text",
    "NoticeBody.valid_until",
    "NoticeRequest.body",
    "Notice.number",
    "Notice.body",
    "Notice.status",
    "NoticeUpdate.number",
    "NoticeUpdate.status",
    "NoticeCancel.number",
    "NoticeCancel.reason",
    "Diffusion.body",
    "DiffusionCancel.diffusion",
    "DiffusionCancel.reason",
    "Correction.of",
    "Correction.changes",
    "Change.path",
    "Deletion.of",
    "Deletion.reason",
    "DeletionAttestation.deletion",
    "DeletionAttestation.of",
    "DeletionAttestation.deleted",
    "DeletionAttestation.at",
    "DeletionAttestation.by_role",
    "Service.what",
    "Service.state",
    "Service.from",
];

/// Sections of which each missing field is named, not the section.
pub(crate) const OPENED: &[&str] = &["EcoMessage.heading", "EcoMessage.incident"];

/// Forms whose `about` must say this, too: data are asked for with a purpose.
pub(crate) const ABOUT: &[(&str, &str)] = &[("Request", "purpose"), ("Query", "purpose"), ("ControlledDelivery", "case_id")];

/// Message, a field, one of its words, and the field that this word asks for.
pub(crate) const WHEN: &[(&str, &str, &str, &str)] = &[
    ("Reply", "state", "refused", "reason"),
    ("Reply", "state", "need_more_time", "until"),
    ("Reply", "state", "partial", "text"),
    ("Reply", "state", "final", "text"),
    ("QueryResult", "result", "hit", "rows"),
    ("HitConfirmation", "state", "invalid", "text"),
    ("HitConfirmation", "state", "instructions", "text"),
    ("Consent", "state", "conditional", "conditions"),
];

/// Message, and a time that does not come after another.
pub(crate) const ORDER: &[(&str, &str, &str)] =
    &[("NoticeBody", "valid_from", "valid_until"), ("Service", "from", "to"), ("Alert", "at", "leaves_at")];

/// Times, RFC 3339.
pub(crate) const TIMES: &[&str] = &[
    "Incident.at",
    "Ask.reply_due",
    "Reply.until",
    "ExpertRequest.reply_due",
    "Alert.at",
    "Alert.leaves_at",
    "Warning.expected_at",
    "Feedback.at",
    "Seizure.at",
    "ControlledDelivery.handover_at",
    "Hit.at",
    "HitConfirmation.valid_until",
    "NoticeBody.valid_from",
    "NoticeBody.valid_until",
    "NoticeCancel.at",
    "DiffusionCancel.at",
    "Deletion.due",
    "DeletionAttestation.at",
    "Service.from",
    "Service.to",
];

/// Countries, ISO 3166-1 alpha-2.
pub(crate) const COUNTRIES: &[&str] = &[
    "Person.nationalities",
    "Document.country",
    "Organisation.country",
    "Vessel.flag",
    "Vessel.former_flags",
    "Identified.country",
    "Consent.country",
    "NoticeRequest.not_to",
];

/// SHA-256, 64 hexadecimal digits.
pub(crate) const DIGESTS: &[&str] = &["Evidence.sha256"];

/// What each `Identifier` is; those that are not here are anything else.
pub(crate) const IDENTIFIERS: &[(&str, Kind)] = &[
    ("Place.locode", Kind::Locode),
    ("Goods.hs", Kind::Hs),
    ("Goods.basel", Kind::Basel),
    ("Goods.un", Kind::Un),
    ("Vessel.imo", Kind::ImoShip),
    ("Vessel.mmsi", Kind::Mmsi),
    ("Transport.container", Kind::Container),
    ("Transport.vin", Kind::Vin),
];

/// What an identifier is that says it itself: a word of `Identified.kind`.
pub(crate) fn said(kind: &str) -> Kind {
    match kind {
        "imo" => Kind::ImoShip,
        "imo_company" => Kind::ImoCompany,
        "mmsi" => Kind::Mmsi,
        "container" => Kind::Container,
        "air_waybill" => Kind::AirWaybill,
        "vin" => Kind::Vin,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_about_a_field() {
        let fields = crate::check::fields();
        let mut named: Vec<String> = [REQUIRED, OPENED, TIMES, COUNTRIES, DIGESTS].concat().into_iter().map(str::to_owned).collect();
        named.extend(IDENTIFIERS.iter().map(|(name, _)| (*name).to_owned()));
        named.extend(ABOUT.iter().flat_map(|(message, field)| [format!("{message}.about"), format!("About.{field}")]));
        named.extend(ORDER.iter().flat_map(|(message, from, to)| [format!("{message}.{from}"), format!("{message}.{to}")]));
        for (message, field, word, other) in WHEN {
            named.extend([format!("{message}.{field}"), format!("{message}.{other}")]);
            assert!(crate::words::of(&format!("{message}.{field}")).contains(word), "{message}.{field} {word}");
        }
        for name in named {
            assert!(fields.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_reads_like_a_time_is_looked_at_as_one() {
        for name in crate::check::fields() {
            let field = name.rsplit('.').next().unwrap_or_default();
            let time = ["at", "until", "due", "reply_due", "expected_at", "leaves_at", "handover_at", "valid_from", "valid_until"];
            assert!(!time.contains(&field) || name == "Leg.at" || TIMES.contains(&name.as_str()), "{name}");
        }
    }
}
