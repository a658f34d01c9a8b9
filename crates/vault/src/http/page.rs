//! Which part of a list: every list of the interface goes on the same way.

use serde::Deserialize;

const DEFAULT_LIMIT: u32 = 1000;
const MAX_LIMIT: u32 = 10_000;

/// Which part of a list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Begin after this one: the `next` of the answer before.
    pub(crate) after: Option<String>,
    /// At most this many (1 to 10000; 1000 where it is left out).
    pub(crate) limit: Option<u32>,
}

impl Page {
    /// How many to answer with at most.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
    }

    /// How many to fetch: one more tells whether there are more.
    pub(crate) fn fetch(&self) -> u32 {
        self.limit() + 1
    }

    /// What was fetched, without the one too many, and the `next` if there was one.
    pub(crate) fn cut<T>(
        &self,
        mut rows: Vec<T>,
        name: impl FnOnce(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let limit = self.limit() as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(name);
        (rows, next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_give_all_of_a_list_once_and_in_order(len in 0u32..60, limit in 0u32..20) {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = Page { after: after.take(), limit: Some(limit) };
                let from = page.after.as_ref().map_or(0, |last| last.parse::<u32>().unwrap() + 1);
                let fetched = (from..len).take(page.fetch() as usize).collect();
                let (rows, next) = page.cut(fetched, |n| n.to_string());
                prop_assert!(next.is_none() || rows.len() == page.limit() as usize);
                seen.extend(rows);
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }
}
