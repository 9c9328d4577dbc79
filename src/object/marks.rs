//! A few labels or annotations, in no more memory than their texts.

/// Labels or annotations that fluxkeep reads, ordered by key.
///
/// A cluster may hold ten thousand CRDs with two or three each; a map reserves room for eleven.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(Vec<(String, String)>);

impl FromIterator<(String, String)> for Marks {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(entries: T) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        // The last of equal keys counts: the sort is stable, and a repeated key goes to the entry
        // that stays.
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        entries.dedup_by(|later, kept| {
            let is_repeated = later.0 == kept.0;
            if is_repeated {
                std::mem::swap(&mut later.1, &mut kept.1);
            }
            is_repeated
        });
        entries.shrink_to_fit();
        Self(entries)
    }
}

impl Marks {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&String> {
        self.0.get(self.place(key).ok()?).map(|(_, value)| value)
    }

    /// True if the key has a value.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.place(key).is_ok()
    }

    /// Sets the value of a key, and returns the old value.
    pub fn insert(&mut self, key: String, value: String) -> Option<String> {
        let place = match self.place(&key) {
            Ok(place) => {
                return self
                    .0
                    .get_mut(place)
                    .map(|(_, old)| std::mem::replace(old, value));
            }
            Err(place) => place,
        };
        self.0.reserve_exact(1);
        self.0.insert(place, (key, value));
        None
    }

    /// Removes a key, and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.place(key).ok().map(|place| self.0.remove(place).1)
    }

    /// The index of a key, or as an error the index for inserting the key.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(known, _)| known.as_str().cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn collected_in_any_order_they_are_sorted_and_the_last_of_a_repeated_key_counts() {
        let entries = [("b", "1"), ("a", "2"), ("b", "3")];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut expected = Marks::default();
        for (key, value) in entries.clone() {
            expected.insert(key, value);
        }
        assert_eq!(Marks::from_iter(entries), expected);
    }

    proptest! {
        #[test]
        fn they_are_a_map(writes in prop::collection::vec(("[a-d]{1,2}", "[x-z]?", any::<bool>()), 0..40)) {
            let (mut marks, mut map) = (Marks::default(), BTreeMap::new());
            for (key, value, is_removed) in writes {
                if is_removed {
                    prop_assert_eq!(marks.remove(&key), map.remove(&key));
                } else {
                    prop_assert_eq!(marks.insert(key.clone(), value.clone()), map.insert(key.clone(), value));
                }
                prop_assert_eq!(marks.get(&key), map.get(&key));
                prop_assert_eq!(marks.contains_key(&key), map.contains_key(&key));
                prop_assert_eq!(marks.0.iter().map(|(key, value)| (key, value)).collect::<Vec<_>>(), map.iter().collect::<Vec<_>>());
            }
        }
    }
}
