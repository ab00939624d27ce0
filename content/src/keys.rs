//! What a subject is looked up by: every identifier and name of it in one spelling, so that a list and a question that mean the same
//! say the same. A number without the form of its kind is looked up as it was observed: an identifier that lies is evidence.
//!
//! It knows no list and no answer. Names lose case, accents and marks; what a name sounds like, or is in another script, it does not
//! know.

use crate::identifiers::{self, Outcome, examine};
use crate::{rules, v1, words};

/// An identifier or a name in one spelling, and what it is.
///
/// ```
/// use content::keys::Key;
/// assert_eq!(Key::new("imo", "IMO 9074729"), Key::new("imo", "907-4729"));
/// assert_eq!(Key::new("name", "São  Tomé-Star").unwrap().text(), "sao tome star");
/// assert_eq!(Key::new("plate", " - "), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    kind: String,
    text: String,
}

impl Key {
    /// Of a kind of [`kinds`], or of any other word; `None` when nothing is left of `raw`.
    #[must_use]
    pub fn new(kind: &str, raw: &str) -> Option<Self> {
        let text = if kind == NAME { fold(raw) } else { number(kind, raw) };
        (!text.is_empty() && !kind.is_empty()).then(|| Self { kind: kind.to_owned(), text })
    }

    /// A word of `Identified.kind`, [`NAME`] or [`CALL_SIGN`].
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The one spelling.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How much it says that both have this key, a word of `HitRow.confidence`: numbers that the world gives once are exact, those
    /// that a country gives are probable, and many have one name.
    #[must_use]
    pub fn confidence(&self) -> &'static str {
        match rules::said(&self.kind) {
            identifiers::Kind::Other if self.kind == NAME => "possible",
            identifiers::Kind::Other => "probable",
            kind if examine(kind, &self.text).1 == Outcome::Ok => "exact",
            _ => "probable",
        }
    }
}

/// What keys can be: the words of `Identified.kind`, call signs, names.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    words::of("Identified.kind").iter().copied().chain([CALL_SIGN, NAME])
}

/// All keys of a report: of its persons, organisations, what carried the goods, and their permits; each once, in order.
#[must_use]
pub fn of_report(report: &v1::EcoMessage) -> Vec<Key> {
    let mut said = Vec::new();
    report.persons.iter().for_each(|person| say_person(person, &mut said));
    report.organisations.iter().for_each(|one| say_organisation(one, &mut said));
    for transport in &report.transports {
        transport.vessel.iter().for_each(|vessel| say_vessel(vessel, &mut said));
        let numbers = [
            ("container", &transport.container),
            ("seal", &transport.seal),
            ("aircraft", &transport.aircraft),
            ("plate", &transport.plate),
            ("vin", &transport.vin),
            ("air_waybill", &transport.waybill),
        ];
        said.extend(numbers.map(|(kind, number)| (kind, raw(number))));
    }
    let permits = report.goods.iter().flat_map(|goods| &goods.permits);
    said.extend(permits.map(|permit| ("permit", permit.raw.clone())));
    keys(&said)
}

/// All keys of a subject, each once, in order.
#[must_use]
pub fn of_subject(subject: &v1::Subject) -> Vec<Key> {
    let mut said: Vec<(&str, String)> = subject.identifiers.iter().map(|one| (one.kind.as_str(), raw(&one.number))).collect();
    subject.person.iter().for_each(|person| say_person(person, &mut said));
    subject.vessel.iter().for_each(|vessel| say_vessel(vessel, &mut said));
    subject.company.iter().for_each(|company| say_organisation(company, &mut said));
    keys(&said)
}

fn say_person<'a>(person: &'a v1::Person, said: &mut Vec<(&'a str, String)>) {
    said.extend(person.names.iter().map(|name| (NAME, name.clone())));
    said.extend(person.documents.iter().map(|one| (one.kind.as_str(), raw(&one.number))));
}

fn say_vessel(vessel: &v1::Vessel, said: &mut Vec<(&str, String)>) {
    said.extend([("imo", raw(&vessel.imo)), ("mmsi", raw(&vessel.mmsi)), (CALL_SIGN, vessel.call_sign.clone())]);
    said.extend(vessel.former_names.iter().chain([&vessel.name]).map(|name| (NAME, name.clone())));
}

fn say_organisation(one: &v1::Organisation, said: &mut Vec<(&str, String)>) {
    said.extend([(NAME, one.name.clone()), ("registration", raw(&one.registration))]);
}

fn raw(identifier: &Option<v1::Identifier>) -> String {
    identifier.as_ref().map_or_else(String::new, |one| one.raw.clone())
}

fn keys(said: &[(&str, String)]) -> Vec<Key> {
    let mut keys: Vec<Key> = said.iter().filter_map(|(kind, raw)| Key::new(kind, raw)).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn number(kind: &str, raw: &str) -> String {
    match examine(rules::said(kind), raw) {
        (text, _) if !text.is_empty() => text,
        _ => examine(identifiers::Kind::Other, raw).0,
    }
}

/// Lower case, without accents and marks, words apart by one space.
fn fold(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase).filter(|letter| !('\u{300}'..='\u{36f}').contains(letter)) {
        match LETTERS.iter().find(|(accented, _)| accented.contains(letter)) {
            Some((_, plain)) => text.push_str(plain),
            None if letter.is_alphanumeric() => text.push(letter),
            // O'Brien is one word.
            None if matches!(letter, '\'' | '\u{2019}' | '.') => {}
            None if text.ends_with(' ') || text.is_empty() => {}
            None => text.push(' '),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// A name, of whatever.
pub const NAME: &str = "name";
/// A radio call sign; `Identified.kind` has no word for it.
pub const CALL_SIGN: &str = "call_sign";
/// Latin letters with their accents in one character, and what they are without. The standard library takes none apart.
const LETTERS: &[(&str, &str)] = &[
    ("àáâãäåāăąǎạảấầẩẫậắằẳẵặ", "a"),
    ("æǽ", "ae"),
    ("çćĉċč", "c"),
    ("ďđð", "d"),
    ("èéêëēĕėęěẹẻẽếềểễệ", "e"),
    ("ĝğġģ", "g"),
    ("ĥħ", "h"),
    ("ìíîïĩīĭįıỉị", "i"),
    ("ĵ", "j"),
    ("ķ", "k"),
    ("ĺļľŀł", "l"),
    ("ñńņňŋ", "n"),
    ("òóôõöøōŏőơọỏốồổỗộớờởỡợ", "o"),
    ("œ", "oe"),
    ("ŕŗř", "r"),
    ("śŝşšș", "s"),
    ("ß", "ss"),
    ("ţťŧț", "t"),
    ("þ", "th"),
    ("ùúûüũūŭůűųưụủứừửữự", "u"),
    ("ŵ", "w"),
    ("ýÿŷỳỵỷỹ", "y"),
    ("źżž", "z"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(kind: &str, raw: &str, text: &str, confidence: &str) {
        let key = Key::new(kind, raw).map(|key| (key.text.clone(), key.confidence()));
        let wanted = (!text.is_empty()).then(|| (text.to_owned(), confidence)).filter(|(text, _)| !text.is_empty());
        assert_eq!(key, wanted, "{kind} {raw:?}");
    }

    #[test]
    fn one_spelling_for_all_that_mean_the_same() {
        for (kind, raw, text, confidence) in [
            ("imo", "IMO 9074729", "9074729", "exact"),
            ("imo", "9074720", "9074720", "probable"),
            ("imo", "unreadable 7", "UNREADABLE7", "probable"),
            ("mmsi", "366 999 712", "366999712", "exact"),
            ("mmsi", "000000000", "000000000", "probable"),
            ("container", "csqu 305438-3", "CSQU3054383", "exact"),
            ("plate", "kaa 123-x", "KAA123X", "probable"),
            ("passport", "a 1234567", "A1234567", "probable"),
            ("call_sign", "5z ab", "5ZAB", "probable"),
            ("name", "  Ocean   STAR ", "ocean star", "possible"),
            ("name", "São-Tomé", "sao tome", "possible"),
            ("name", "Sa\u{303}o Tome\u{301}", "sao tome", "possible"),
            ("name", "O'Brien, J.", "obrien j", "possible"),
            ("name", "ŁÓDŹ Straße İZMİR", "lodz strasse izmir", "possible"),
            ("name", "海星", "海星", "possible"),
            ("name", "-!-", "", ""),
            ("plate", " ", "", ""),
            ("", "x", "", ""),
        ] {
            check(kind, raw, text, confidence);
        }
    }

    #[test]
    fn a_subject_is_looked_up_by_all_that_it_is_called() {
        let text = br#"{"subject":{"kind":"vessel","identifiers":[{"kind":"imo","number":{"raw":"9074729"}}],
            "vessel":{"name":"Ocean Star","formerNames":["Lucky 7"],"imo":{"raw":"IMO 9074729"},"callSign":"5zab"},
            "person":{"names":["Jo"],"documents":[{"kind":"passport","number":{"raw":"a1"}}]},
            "company":{"name":"Ocean Star","registration":{"raw":"r 2"}}}}"#;
        let query: v1::Query = crate::Payload::from_json(crate::Form::Query, text).unwrap().message_as().unwrap();
        let keys: Vec<String> = of_subject(&query.subject.unwrap()).iter().map(|key| format!("{} {}", key.kind(), key.text())).collect();
        assert_eq!(keys, ["call_sign 5ZAB", "imo 9074729", "name jo", "name lucky 7", "name ocean star", "passport A1", "registration R2"]);
        assert_eq!(of_subject(&v1::Subject::default()), []);
    }

    #[test]
    fn a_report_is_looked_up_by_whom_and_what_it_names() {
        let text = br#"{"persons":[{"names":["Jo"],"documents":[{"kind":"passport","number":{"raw":"a1"}}]}],
            "organisations":[{"name":"Star Ltd","registration":{"raw":"r 2"}}],
            "goods":[{"taxon":"Loxodonta africana","permits":[{"raw":"ke 77"}]}],
            "transports":[{"mode":"sea","vessel":{"name":"Ocean Star","imo":{"raw":"IMO 9074729"}},"container":{"raw":"csqu3054383"},
            "seal":{"raw":"s9"},"waybill":{"raw":"172-12345675"}},{"mode":"road","plate":{"raw":"kaa 123x"},"vin":{"raw":"v1"}}]}"#;
        let report = crate::Payload::from_json(crate::Form::Ecomessage, text).unwrap().report().unwrap();
        let keys: Vec<String> = of_report(&report).iter().map(|key| format!("{} {}", key.kind(), key.text())).collect();
        assert_eq!(
            keys,
            [
                "air_waybill 17212345675",
                "container CSQU3054383",
                "imo 9074729",
                "name jo",
                "name ocean star",
                "name star ltd",
                "passport A1",
                "permit KE77",
                "plate KAA123X",
                "registration R2",
                "seal S9",
                "vin V1"
            ]
        );
        assert_eq!(of_report(&v1::EcoMessage::default()), []);
    }

    #[test]
    fn a_list_can_have_every_kind() {
        assert!(kinds().any(|kind| kind == "container") && kinds().any(|kind| kind == NAME));
    }
}
