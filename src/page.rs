//! A page to write on: one for each thread, whichever call is at work.
//!
//! A frame is written, handed on and forgotten before the next one is begun, by whomever. So what it is written on need not be kept
//! for every call.

use std::cell::Cell;

/// What is kept of a page between two frames, in bytes. Only a rare frame is longer.
const KEPT: usize = 64 * 1024;

thread_local! {
    static PAGE: Cell<String> = Cell::default();
}

/// Works with an empty page. Whoever asks for one meanwhile gets another.
pub fn with<T>(work: impl FnOnce(&mut String) -> T) -> T {
    let mut page = PAGE.take();
    let done = work(&mut page);
    page.clear();
    page.shrink_to(KEPT);
    PAGE.set(page);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_empty_and_no_two_are_the_same() {
        with(|page| {
            page.push_str("one");
            with(|other| assert_eq!(other, ""));
            assert_eq!(page, "one");
        });
        with(|page| assert_eq!(page, ""));
    }

    #[test]
    fn a_long_frame_is_not_kept_for_ever() {
        with(|page| page.push_str(&"x".repeat(KEPT * 2)));
        with(|page| assert!(page.capacity() <= KEPT, "{}", page.capacity()));
    }
}
