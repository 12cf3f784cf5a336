//! The published schema against the types, and plans against the published schema.

use std::path::Path;

use super::*;
use crate::samples;

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema/plan.json");

fn made() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap();
    text.push('\n');
    text
}

/// `FERRY_WRITE_SCHEMA=1` writes the file anew; the change is then seen in the diff.
#[test]
fn the_published_schema_is_that_of_the_types() {
    if std::env::var_os("FERRY_WRITE_SCHEMA").is_some() {
        std::fs::create_dir_all(Path::new(PUBLISHED).parent().unwrap()).unwrap();
        std::fs::write(PUBLISHED, made()).unwrap();
    }
    let published = std::fs::read_to_string(PUBLISHED).unwrap();
    assert_eq!(
        published,
        made(),
        "write it anew: FERRY_WRITE_SCHEMA=1 cargo test -p ferry the_published_schema"
    );
}

#[test]
fn plans_fit_it_and_what_is_none_does_not() {
    let schema = serde_json::from_str(&std::fs::read_to_string(PUBLISHED).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let refused = samples::plan();
    let accepted = Plan {
        hash: Some("ab".to_owned()),
        expires_at: Some(samples::at(0)),
        storage_classes: [("fast".to_owned(), "premium".to_owned())].into(),
        deadlines: vec![Deadline { step: 10, name: "start".to_owned(), deadline_ms: 300_000 }],
        on_failure: OnFailure::Rollback,
        ..samples::plan()
    };
    for plan in [refused, accepted] {
        let json = serde_json::to_value(&plan).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        let mut other = json.clone();
        other["ordinals"] = "all".into();
        assert!(!validator.is_valid(&other));
        let mut less = json;
        less.as_object_mut().unwrap().remove("findings");
        assert!(!validator.is_valid(&less));
    }
}
