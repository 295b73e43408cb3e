use std::collections::{BTreeMap, BTreeSet};

use super::range;

#[test]
fn the_range_rule_is_kafkas() {
    let threads = BTreeSet::from(["a-0", "a-1", "b-0"].map(str::to_owned));
    let owners = range(&BTreeMap::from([("t".to_owned(), 8)]), &threads);
    assert_eq!(
        owners.values().collect::<Vec<_>>(),
        ["a-0", "a-0", "a-0", "a-1", "a-1", "a-1", "b-0", "b-0"]
    );
    let owners = range(&BTreeMap::from([("t".to_owned(), 2)]), &threads);
    assert_eq!(owners.values().collect::<Vec<_>>(), ["a-0", "a-1"]);
}
