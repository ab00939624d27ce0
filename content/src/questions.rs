//! The seven questions of the quick form, in the languages that border posts speak.

/// A language of the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// العربية
    Ar,
    /// English
    En,
    /// español
    Es,
    /// français
    Fr,
}

impl Language {
    /// All of them, by their BCP 47 tags.
    pub const ALL: [(&'static str, Self); 4] = [("ar", Self::Ar), ("en", Self::En), ("es", Self::Es), ("fr", Self::Fr)];

    /// By its tag.
    #[must_use]
    pub fn of(tag: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == tag).map(|(_, language)| *language)
    }

    /// Its tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        Self::ALL.iter().find(|(_, language)| *language == self).map_or("en", |(name, _)| *name)
    }
}

/// The inputs of the quick form, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// What happened.
    What,
    /// When.
    When,
    /// Where.
    Place,
    /// Which area of crime.
    CrimeArea,
    /// Which goods.
    Goods,
    /// How much.
    Quantity,
    /// What is wanted.
    Action,
}

impl Input {
    /// All seven.
    pub const ALL: [Self; 7] = [Self::What, Self::When, Self::Place, Self::CrimeArea, Self::Goods, Self::Quantity, Self::Action];

    /// The question.
    #[must_use]
    pub fn question(self, language: Language) -> &'static str {
        let [ar, en, es, fr] = match self {
            Self::What => ["ماذا حدث؟", "What happened?", "¿Qué ocurrió?", "Que s'est-il passé ?"],
            Self::When => ["متى؟ (فارغ: الآن)", "When? (empty: now)", "¿Cuándo? (vacío: ahora)", "Quand ? (vide : maintenant)"],
            Self::Place => [
                "أين؟ (رمز UN/LOCODE أو وصف)",
                "Where? (UN/LOCODE, or in words)",
                "¿Dónde? (UN/LOCODE o descripción)",
                "Où ? (UN/LOCODE ou description)",
            ],
            Self::CrimeArea => ["ما مجال الجريمة؟", "Which area of crime?", "¿Qué ámbito delictivo?", "Quel domaine criminel ?"],
            Self::Goods => ["ما البضائع؟", "Which goods?", "¿Qué mercancías?", "Quelles marchandises ?"],
            Self::Quantity => {
                ["ما الكمية؟ (مثلاً 312 kg)", "How much? (such as 312 kg)", "¿Cuánto? (por ejemplo 312 kg)", "Combien ? (par exemple 312 kg)"]
            }
            Self::Action => [
                "ما المطلوب؟ (فارغ: لا شيء)",
                "What is wanted? (empty: nothing)",
                "¿Qué se solicita? (vacío: nada)",
                "Que demande-t-on ? (vide : rien)",
            ],
        };
        match language {
            Language::Ar => ar,
            Language::En => en,
            Language::Es => es,
            Language::Fr => fr,
        }
    }

    /// The words that may be suggested; none where the answer is free.
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::What => crate::words::of("Incident.what"),
            Self::CrimeArea => crate::words::of("Heading.crime_area"),
            _ => &[],
        }
    }

    /// What an answer stands for: the number of a suggestion, the beginning of one alone, or what was typed.
    #[must_use]
    pub fn answer(self, typed: &str) -> String {
        let (typed, words) = (typed.trim(), self.words());
        let by_number = typed.parse::<usize>().ok().and_then(|number| words.get(number.checked_sub(1)?));
        let mut begun = words.iter().filter(|word| !typed.is_empty() && word.starts_with(&typed.to_lowercase().replace([' ', '-'], "_")));
        let one = begun.next().filter(|_| begun.next().is_none());
        by_number.or(one).map_or_else(|| typed.to_owned(), |word| (*word).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_a_beginning_or_what_was_typed() {
        for (typed, answer) in [
            ("1", "seizure"),
            ("8", "inspection_finding"),
            ("9", "9"),
            ("0", "0"),
            ("sei", "seizure"),
            ("Refusal of", "refusal_of_entry"),
            ("d", "d"),
            ("dis", "discharge"),
            (" robbery ", "robbery"),
            ("", ""),
        ] {
            assert_eq!(Input::What.answer(typed), answer, "{typed}");
        }
        assert_eq!(Input::Goods.answer("1"), "1");
    }

    #[test]
    fn every_question_is_asked_in_every_language() {
        for (tag, language) in Language::ALL {
            assert_eq!((Language::of(tag), language.tag()), (Some(language), tag));
            let mut asked: Vec<_> = Input::ALL.iter().map(|input| input.question(language)).collect();
            asked.sort_unstable();
            asked.dedup();
            assert_eq!(asked.len(), 7, "{tag}");
        }
    }
}
