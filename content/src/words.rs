//! The words that this version knows of each code, by message and field. A report may say others: they are kept, and a check
//! says that they are not known here.

/// Hours within which a reply is wanted, by the urgency of a request.
#[must_use]
pub fn reply_hours(urgency: &str) -> Option<u32> {
    match urgency {
        "urgent" => Some(8),
        "priority" => Some(3 * 24),
        "routine" => Some(7 * 24),
        _ => None,
    }
}

/// The words of a field, `Message.field`; empty when it is free text.
#[must_use]
pub fn of(field: &str) -> &'static [&'static str] {
    WORDS.iter().find(|(name, _)| *name == field).map_or(&[], |(_, words)| words)
}

/// Every field that has words.
pub const WORDS: &[(&str, &[&str])] = &[
    ("Heading.report_type", &["initial", "supplement", "correction", "cancellation", "final"]),
    ("Heading.crime_area", CRIME_AREAS),
    ("Heading.iccs", &["1001", "1002", "1003", "1004", "1009"]),
    ("Heading.linked_crimes", &["corruption", "fraud", "money_laundering", "forgery", "smuggling", "human_trafficking", "firearms"]),
    ("Heading.language", LANGUAGES),
    (
        "Incident.what",
        &["seizure", "detection", "interception", "refusal_of_entry", "arrest", "discharge", "dumping", "inspection_finding"],
    ),
    ("Incident.at_precision", &["minute", "hour", "day", "month", "unknown"]),
    ("Incident.detection", DETECTION),
    ("Goods.cites_appendix", &["I", "II", "III"]),
    (
        "Goods.term",
        &[
            "bark",
            "bodies",
            "bones",
            "carvings",
            "chips",
            "claws",
            "derivatives",
            "eggs",
            "fins",
            "hair",
            "horn",
            "ivory_pieces",
            "leaves",
            "live",
            "logs",
            "meat",
            "medicine",
            "oil",
            "ore",
            "plants",
            "powder",
            "roots",
            "sawn_wood",
            "scales",
            "seeds",
            "shells",
            "skin",
            "skulls",
            "specimens",
            "teeth",
            "timber",
            "tusks",
            "waste",
            "wax",
        ],
    ),
    ("Quantity.unit", &["kg", "g", "mg", "t", "l", "ml", "m3", "m2", "m", "cm", "pieces", "specimens", "boxes", "sets", "pairs"]),
    ("Person.sex", &["M", "F", "X", "unknown"]),
    ("Transport.mode", &["sea", "air", "road", "rail", "inland_water", "post", "foot"]),
    ("Leg.role", &["origin", "export", "transit", "import", "destination"]),
    ("Grading.source", &["A", "B", "C", "X"]),
    ("Grading.information", &["1", "2", "3", "4"]),
    ("Identifier.check", &["ok", "bad_check_digit", "bad_form", "not_checked"]),
    (
        "About.purpose",
        &[
            "investigation",
            "prosecution",
            "border_control",
            "prevention",
            "identification",
            "repatriation",
            "coordination",
            "statistics",
            "training",
        ],
    ),
    ("About.crime_area", CRIME_AREAS),
    ("About.language", LANGUAGES),
    ("Subject.kind", &["person", "vehicle", "container", "vessel", "aircraft", "goods", "document", "company", "object", "modus_operandi"]),
    (
        "Identified.kind",
        &[
            "imo",
            "imo_company",
            "mmsi",
            "container",
            "air_waybill",
            "vin",
            "plate",
            "aircraft",
            "seal",
            "passport",
            "identity_card",
            "driving_licence",
            "permit",
            "registration",
            "other",
        ],
    ),
    ("Request.urgency", &["urgent", "priority", "routine"]),
    ("Reply.state", &["partial", "final", "refused", "need_more_time"]),
    ("Reply.reason", &["law", "security", "no_authority", "no_means", "no_data", "purpose", "other"]),
    ("ExpertRequest.identify", &["species", "timber", "ivory", "waste", "origin", "age", "sex", "other"]),
    ("Alert.action", ACTIONS_AT_A_BORDER),
    ("Warning.action", ACTIONS_AT_A_BORDER),
    ("Feedback.result", &["seized", "nothing_found", "not_arrived", "released", "under_control", "moved_on", "not_checked"]),
    ("Seizure.detection", DETECTION),
    ("ControlledDelivery.state", &["proposed", "agreed", "under_way", "handed_over", "stopped", "completed"]),
    ("Consent.state", &["asked", "agreed", "conditional", "refused"]),
    ("QueryResult.result", &["no_hit", "hit", "too_many", "refused"]),
    ("HitRow.confidence", CONFIDENCE),
    ("HitRow.source", &["notice", "hot_list", "stolen_document", "case", "registry"]),
    ("HitRow.before_acting", &["confirm"]),
    ("Hit.confidence", CONFIDENCE),
    ("HitConfirmation.state", &["valid", "invalid", "instructions"]),
    ("NoticeBody.colour", &["red", "blue", "green", "yellow", "black", "orange", "purple", "silver", "un_special"]),
    ("NoticeBody.crime_area", CRIME_AREAS),
    ("NoticeBody.action", &["locate", "arrest", "inform", "identify", "warn", "trace_assets", "observe", "none"]),
    ("Notice.status", NOTICE_STATES),
    ("NoticeUpdate.status", NOTICE_STATES),
    ("NoticeCancel.reason", CANCEL_REASONS),
    ("DiffusionCancel.reason", CANCEL_REASONS),
    ("Deletion.reason", &["no_longer_needed", "unlawful", "wrong_subject", "court_order", "expired", "other"]),
    ("DeletionAttestation.deleted", &["message", "attachments", "copies", "prints", "backups", "records"]),
    ("Service.what", &["outage", "maintenance", "key_change", "group_change", "incident"]),
    ("Service.state", &["planned", "ongoing", "over"]),
];

const CRIME_AREAS: &[&str] = &["wildlife", "fisheries", "forestry", "mining", "pollution_waste", "other"];
const LANGUAGES: &[&str] = &["ar", "en", "es", "fr"];
const DETECTION: &[&str] = &["risk_profile", "x_ray", "dog", "routine", "tip_off", "ais_satellite", "document_check", "forensic"];
const ACTIONS_AT_A_BORDER: &[&str] = &["stop", "hold", "search", "observe", "inform", "arrest", "none"];
const CONFIDENCE: &[&str] = &["exact", "probable", "possible"];
const NOTICE_STATES: &[&str] = &["published", "updated", "suspended", "expiring", "extended", "cancelled", "expired"];
const CANCEL_REASONS: &[&str] = &["located", "arrested", "withdrawn", "unlawful", "wrong_subject", "expired", "other"];
