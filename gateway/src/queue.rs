//! The order in which the writer takes what waits for it: the gateway's own first, then FLASH, then the rest, and in each a
//! turn for every participant. Pure: it does not know what a command is.
//!
//! **Invariant:** who has filled its share delays another's next message by one turn of everybody, not by its share; and
//! of every eight that are taken one is none of FLASH, however much of that there is.

use std::collections::{BTreeMap, VecDeque};

use envelope::Address;

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// What the gateway has to say by itself: revocations do not wait behind messages.
    Own,
    /// A participant's FLASH.
    Flash(&'a Address),
    /// Anything else of a participant.
    Rest(&'a Address),
}

/// What waits. Each participant's own order stays, but that its FLASH overtakes.
#[derive(Debug)]
pub struct Queue<T> {
    own: VecDeque<T>,
    flash: Lanes<T>,
    rest: Lanes<T>,
    /// How many of FLASH were taken since the last of the rest.
    flash_in_a_row: usize,
}

/// One lane for each participant that has something waiting, and whose turn it is.
#[derive(Debug)]
struct Lanes<T> {
    each: BTreeMap<Address, VecDeque<T>>,
    turns: VecDeque<Address>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { own: VecDeque::new(), flash: Lanes::default(), rest: Lanes::default(), flash_in_a_row: 0 }
    }
}

impl<T> Queue<T> {
    /// Puts something behind what waits at its place.
    pub fn push(&mut self, place: Place<'_>, item: T) {
        match place {
            Place::Own => self.own.push_back(item),
            Place::Flash(of) => self.flash.push(of, item),
            Place::Rest(of) => self.rest.push(of, item),
        }
    }

    /// Takes the next.
    pub fn pop(&mut self) -> Option<T> {
        if let Some(item) = self.own.pop_front() {
            return Some(item);
        }
        if self.flash_in_a_row < FLASH_IN_A_ROW_MAX
            && let Some(item) = self.flash.pop()
        {
            self.flash_in_a_row += 1;
            return Some(item);
        }
        self.flash_in_a_row = 0;
        self.rest.pop().or_else(|| self.flash.pop())
    }
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { each: BTreeMap::new(), turns: VecDeque::new() }
    }
}

impl<T> Lanes<T> {
    fn push(&mut self, of: &Address, item: T) {
        if let Some(lane) = self.each.get_mut(of) {
            return lane.push_back(item);
        }
        self.each.insert(of.clone(), VecDeque::from([item]));
        self.turns.push_back(of.clone());
    }

    fn pop(&mut self) -> Option<T> {
        let of = self.turns.pop_front()?;
        let lane = self.each.get_mut(&of)?;
        let item = lane.pop_front();
        if lane.is_empty() {
            self.each.remove(&of);
        } else {
            self.turns.push_back(of);
        }
        item
    }
}

/// An eighth is for what is no FLASH.
const FLASH_IN_A_ROW_MAX: usize = 7;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Pushes `ke1` (ke's first), `th!2` (FLASH) or `*` (the gateway's own) in order, and compares the order of taking.
    fn check(pushed: &str, taken: &str) {
        let mut queue = Queue::default();
        for item in pushed.split(' ') {
            let name = item.trim_end_matches(|c: char| c.is_ascii_digit());
            match name.strip_suffix('!') {
                _ if name == "*" => queue.push(Place::Own, item),
                Some(flash) => queue.push(Place::Flash(&Address::parse(flash).unwrap()), item),
                None => queue.push(Place::Rest(&Address::parse(name).unwrap()), item),
            }
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order.join(" "), taken);
        assert!(queue.rest.each.is_empty() && queue.flash.turns.is_empty(), "nothing is kept of who has nothing waiting");
    }

    #[test]
    fn everybody_has_a_turn_and_keeps_the_own_order() {
        check("ke1 ke2 ke3 th1", "ke1 th1 ke2 ke3");
        check("ke1 ke2 th1 ug1 th2 ke3", "ke1 th1 ug1 ke2 th2 ke3");
    }

    #[test]
    fn flash_comes_first_and_the_gateways_own_before_it() {
        check("ke1 th!1 ke2 *1 ke!3", "*1 th!1 ke!3 ke1 ke2");
    }

    #[test]
    fn an_eighth_is_for_the_rest_however_much_flash_there_is() {
        check("ke1 ke2 th!1 th!2 th!3 th!4 th!5 th!6 th!7 th!8 th!9", "th!1 th!2 th!3 th!4 th!5 th!6 th!7 ke1 th!8 th!9 ke2");
        check("th!1 th!2 th!3 th!4 th!5 th!6 th!7 th!8 th!9", "th!1 th!2 th!3 th!4 th!5 th!6 th!7 th!8 th!9");
    }

    #[test]
    fn a_full_share_of_another_delays_by_one_turn() {
        let (mut queue, greedy, other) = (Queue::default(), Address::parse("ke").unwrap(), Address::parse("th").unwrap());
        (0..256).for_each(|n| queue.push(Place::Rest(&greedy), n));
        queue.push(Place::Rest(&other), 1000);
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(0), Some(1000), Some(1)]);
    }
}
