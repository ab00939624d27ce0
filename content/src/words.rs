//! The words that this version knows of each code, by message and field. A report may say others: they are kept, and a check
//! says that they are not known here.

/// The words of a field, `Message.field`; empty when it is free text.
#[must_use]
pub fn of(field: &str) -> &'static [&'static str] {
    WORDS.iter().find(|(name, _)| *name == field).map_or(&[], |(_, words)| words)
}

/// Every field that has words.
pub const WORDS: &[(&str, &[&str])] = &[
    ("Heading.report_type", &["initial", "supplement", "correction", "cancellation", "final"]),
    ("Heading.crime_area", &["wildlife", "fisheries", "forestry", "mining", "pollution_waste", "other"]),
    ("Heading.iccs", &["1001", "1002", "1003", "1004", "1009"]),
    ("Heading.linked_crimes", &["corruption", "fraud", "money_laundering", "forgery", "smuggling", "human_trafficking", "firearms"]),
    ("Heading.language", &["ar", "en", "es", "fr"]),
    (
        "Incident.what",
        &["seizure", "detection", "interception", "refusal_of_entry", "arrest", "discharge", "dumping", "inspection_finding"],
    ),
    ("Incident.at_precision", &["minute", "hour", "day", "month", "unknown"]),
    ("Incident.detection", &["risk_profile", "x_ray", "dog", "routine", "tip_off", "ais_satellite", "document_check", "forensic"]),
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
];
