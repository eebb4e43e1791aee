//! A map by block number, for the few hundred blocks around the head. New ones come at the end, so a
//! sorted vector does what a tree would, in a fifth of the code: the wasm has to be small.

/// Values by block number, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Numbered<T>(Vec<(u32, T)>);

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Numbered<T> {
    fn find(&self, number: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number, |(number, _)| *number)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.find(number).ok().map(|i| &self.0[i].1)
    }

    /// Inserts or replaces.
    pub(crate) fn insert(&mut self, number: u32, value: T) {
        match self.find(number) {
            Ok(i) => self.0[i].1 = value,
            Err(i) => self.0.insert(i, (number, value)),
        }
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let i = self.find(number).ok()?;
        Some(self.0.remove(i).1)
    }

    /// The value at `number`, which is the default one if there was none.
    pub(crate) fn at(&mut self, number: u32) -> &mut T
    where
        T: Default,
    {
        let i = match self.find(number) {
            Ok(i) => i,
            Err(i) => {
                self.0.insert(i, (number, T::default()));
                i
            }
        };
        &mut self.0[i].1
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &T)> {
        self.0.iter().map(|(number, value)| (*number, value))
    }

    /// Drops the lowest ones, so that no more than `len` are left.
    pub(crate) fn keep_last(&mut self, len: usize) {
        let surplus = self.0.len().saturating_sub(len);
        self.0.drain(..surplus);
    }

    /// Takes out those up to `number`.
    pub(crate) fn take_up_to(&mut self, number: u32) -> impl Iterator<Item = T> {
        let end = self.0.partition_point(|(other, _)| *other <= number);
        self.0.drain(..end).map(|(_, value)| value)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(u32, &mut T) -> bool) {
        self.0.retain_mut(|(number, value)| keep(*number, value));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32, u8),
        Remove(u32),
        Add(u32, u8),
        KeepLast(usize),
        TakeUpTo(u32),
        Retain(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_u32, any::<u8>()).prop_map(|(number, value)| Step::Insert(number, value)),
            (0..20_u32).prop_map(Step::Remove),
            (0..20_u32, any::<u8>()).prop_map(|(number, value)| Step::Add(number, value)),
            (0..20_usize).prop_map(Step::KeepLast),
            (0..20_u32).prop_map(Step::TakeUpTo),
            any::<u8>().prop_map(Step::Retain),
        ]
    }

    proptest! {
        #[test]
        fn does_as_a_tree_does(steps in prop::collection::vec(step(), 0..60)) {
            let mut ours = Numbered::<u8>::default();
            let mut tree = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(number, value) => {
                        ours.insert(number, value);
                        tree.insert(number, value);
                    }
                    Step::Remove(number) => {
                        prop_assert_eq!(ours.remove(number), tree.remove(&number));
                    }
                    Step::Add(number, value) => {
                        let sum = tree.entry(number).or_default();
                        *sum = value.wrapping_add(*sum);
                        let sum = ours.at(number);
                        *sum = value.wrapping_add(*sum);
                    }
                    Step::KeepLast(len) => {
                        ours.keep_last(len);
                        while tree.len() > len {
                            tree.pop_first();
                        }
                    }
                    Step::TakeUpTo(number) => {
                        let taken: Vec<_> = ours.take_up_to(number).collect();
                        let rest = tree.split_off(&(number + 1));
                        prop_assert_eq!(taken, tree.into_values().collect::<Vec<_>>());
                        tree = rest;
                    }
                    Step::Retain(least) => {
                        ours.retain(|_, value| *value >= least);
                        tree.retain(|_, value| *value >= least);
                    }
                }
                let pairs: Vec<_> = ours.iter().map(|(number, value)| (number, *value)).collect();
                prop_assert_eq!(pairs, tree.clone().into_iter().collect::<Vec<_>>());
                for number in 0..20 {
                    prop_assert_eq!(ours.get(number), tree.get(&number));
                }
            }
        }
    }
}
