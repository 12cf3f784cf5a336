use super::*;

fn text() -> String {
    format!("ferry1.{}.{}", URL_SAFE_NO_PAD.encode([7; 48]), "0a".repeat(32))
}

#[test]
fn a_whole_token_is_taken_with_blanks_around_it() {
    let token: JoinToken = format!(" {}\n", text()).parse().unwrap();
    assert_eq!(token.text(), text());
    assert_eq!(token.ca_sha256(), &[0x0a; 32]);
    assert_eq!(format!("{token:?}"), "JoinToken(…)");
}

#[test]
fn each_damage_is_named() {
    let parse = |text: String| text.parse::<JoinToken>().unwrap_err();
    assert_eq!(parse(String::new()), Error::Shape);
    assert_eq!(parse(format!("{}.x", text())), Error::Shape);
    assert_eq!(parse(text().replace("ferry1", "ferry2")), Error::Version);
    assert_eq!(
        parse(format!("ferry1.{}.{}", URL_SAFE_NO_PAD.encode([7; 47]), "0a".repeat(32))),
        Error::Secret
    );
    assert_eq!(parse(text().replace("ferry1.", "ferry1.+")), Error::Secret);
    assert_eq!(parse(text()[..text().len() - 1].to_owned()), Error::Hash);
    assert_eq!(parse(format!("{}+0", &text()[..text().len() - 2])), Error::Hash);
}

#[test]
fn it_pins_one_certificate() {
    let der = b"certificate";
    let hash: String = Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
    let token: JoinToken = format!("ferry1.{}.{hash}", URL_SAFE_NO_PAD.encode([7; 48])).parse().unwrap();
    assert!(token.pins(der));
    assert!(!token.pins(b"another"));
}
