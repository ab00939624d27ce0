//! Numbers that a series has used, as closed ranges: gap-free numbering keeps them few.

use proto::v1::{NumberRange, SeriesRow};

/// Whether `number` was used.
#[must_use]
pub fn contains(row: &SeriesRow, number: u64) -> bool {
    let after = row.used.partition_point(|range| range.first <= number);
    after > 0 && row.used[after - 1].last >= number
}

/// Whether `number` stands beside a used one, so that using it opens no further gap.
#[must_use]
pub fn touches(row: &SeriesRow, number: u64) -> bool {
    contains(row, number + 1) || contains(row, number.saturating_sub(1))
}

/// The highest number used; 0 when there is none.
#[must_use]
pub fn highest(row: &SeriesRow) -> u64 {
    row.used.last().map_or(0, |range| range.last)
}

/// Numbers below the highest that were not used, as ranges.
#[must_use]
pub fn gaps(row: &SeriesRow) -> Vec<NumberRange> {
    let mut next = 1;
    let mut gaps = Vec::new();
    for range in &row.used {
        if range.first > next {
            gaps.push(NumberRange { first: next, last: range.first - 1 });
        }
        next = range.last + 1;
    }
    gaps
}

/// Marks `number` as used; neighbours merge.
pub fn insert(row: &mut SeriesRow, number: u64) {
    if contains(row, number) {
        return;
    }
    let at = row.used.partition_point(|range| range.last < number);
    row.used.insert(at, NumberRange { first: number, last: number });
    if at + 1 < row.used.len() && row.used[at + 1].first == number + 1 {
        row.used[at].last = row.used[at + 1].last;
        row.used.remove(at + 1);
    }
    if at > 0 && row.used[at - 1].last + 1 == number {
        row.used[at - 1].last = row.used[at].last;
        row.used.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        #[test]
        fn ranges_are_a_set(numbers in proptest::collection::vec(1u64..60, 0..80)) {
            let mut row = SeriesRow::default();
            let mut model = BTreeSet::new();
            for number in numbers {
                insert(&mut row, number);
                model.insert(number);
                assert!(row.used.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
            }
            for number in 0..70 {
                assert_eq!(contains(&row, number), model.contains(&number));
            }
            assert_eq!(highest(&row), model.last().copied().unwrap_or(0));
            let open: u64 = gaps(&row).iter().map(|gap| gap.last - gap.first + 1).sum();
            assert_eq!(open, highest(&row) - model.len() as u64);
        }
    }
}
