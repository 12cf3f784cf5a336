use serde_json::{Value, json};

use super::{last_writer, writer};

fn written() -> Value {
    let entry = |manager: &str, time: &str, spec: Value| json!({"manager": manager, "time": time, "fieldsV1": {"f:spec": spec}});
    json!({"metadata": {"managedFields": [
        entry("ferry-agent", "2026-01-05T00:00:00Z", json!({"f:replicas": {}})),
        entry("helm", "2026-01-02T00:00:00Z", json!({"f:replicas": {}, "f:template": {}})),
        entry("kubectl-scale", "2026-01-03T00:00:00Z", json!({"f:replicas": {}})),
        entry("kubectl-edit", "2026-01-04T00:00:00Z", json!({"f:serviceName": {}})),
    ]}})
}

#[test]
fn the_last_who_wrote_the_field_is_named() {
    assert_eq!(
        writer(&written(), &["replicas"]),
        " (field manager kubectl-scale wrote it at 2026-01-03T00:00:00Z)"
    );
    assert!(writer(&written(), &["template"]).contains("helm"));
    assert_eq!(writer(&written(), &["ordinals"]), "");
    assert_eq!(writer(&json!({}), &[]), "");
}

#[test]
fn ferry_itself_is_nobody_else() {
    assert_eq!(last_writer(&written()), Some(("kubectl-edit", "2026-01-04T00:00:00Z")));
    assert_eq!(last_writer(&json!({"metadata": {"managedFields": [{"manager": "ferry-agent"}]}})), None);
}
