use super::*;

fn token(secret_bytes: usize, fingerprint: &str) -> String {
    format!("ferry1.{}.{fingerprint}", BASE64_URL_SAFE_NO_PAD.encode(vec![7; secret_bytes]))
}

#[test]
fn a_whole_token_names_its_ca() {
    let parsed = JoinToken::parse(&format!("  {}\n", token(48, &"0a".repeat(32)))).unwrap();
    assert_eq!(parsed.ca_sha256, [10; 32]);
    assert_eq!(parsed.text, token(48, &"0a".repeat(32)));
}

#[test]
fn each_fault_is_named() {
    let whole = token(48, &"0a".repeat(32));
    let cases = [
        ("", "nothing"),
        ("abc", "does not begin with"),
        (&whole[..40], "cut off"),
        (&whole[..whole.len() - 3], "61 characters instead of 64"),
        (&token(40, &"0a".repeat(32)), "40 bytes instead of 48"),
        (&token(48, &"+a".repeat(32)), "64 hexadecimal digits"),
        (&whole.replacen("ferry1.B", "ferry1.!", 1), "not base64url"),
    ];
    for (text, expected) in cases {
        match JoinToken::parse(text) {
            Err(Failure::MalformedToken { found }) => assert!(found.contains(expected), "{text}: {found}"),
            other => panic!("{text}: {:?}", other.map(|token| token.text)),
        }
    }
}
