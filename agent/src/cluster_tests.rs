use super::*;

#[tokio::test]
async fn a_proxy_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let text = r#"{"current-context": "east",
        "contexts": [{"name": "east", "context": {"cluster": "east", "user": "ferry"}}],
        "users": [{"name": "ferry", "user": {"token": "t"}}],
        "clusters": [{"name": "east", "cluster": {
            "server": "https://10.0.0.1:6443", "proxy-url": "http://10.0.0.9:3128"
        }}]}"#;
    std::fs::write(&file, text).unwrap();
    let refused = client(Some(&file), None).await.err().unwrap().to_string();
    assert!(refused.contains("through the proxy http://10.0.0.9:3128"), "{refused}");
    assert!(refused.contains("https://10.0.0.1:6443"), "{refused}");
}
