//! The text form of tokens, and what is not one.

use super::*;

const CA: [u8; 32] = [7; 32];

#[test]
fn a_token_survives_its_text_and_keeps_its_hash() {
    let token = JoinToken::generate(CA);
    let text = token.reveal();
    let parsed = JoinToken::parse(&text, &CA).expect("own text");
    assert_eq!(parsed, token);
    assert_eq!(parsed.hash(), token.hash());
    assert_eq!(text.len(), 6 + 1 + 64 + 1 + 64);
}

#[test]
fn two_tokens_differ() {
    assert_ne!(JoinToken::generate(CA).hash(), JoinToken::generate(CA).hash());
}

#[test]
fn another_authority_is_named() {
    let text = JoinToken::generate([8; 32]).reveal();
    let error = JoinToken::parse(&text, &CA).expect_err("made for another CA");
    assert_eq!(error, Error::OtherAuthority { token: hex(&[8; 32]), ours: hex(&CA) });
}

#[test]
fn everything_else_is_malformed() {
    let text = JoinToken::generate(CA).reveal();
    let cut = &text[..text.len() - 1];
    let long = format!("{text}{}", " ".repeat(limits::MAX_TOKEN_BYTES));
    let more = format!("{text}.x");
    let other = text.replacen("ferry1", "ferry2", 1);
    let short_secret = format!("ferry1.AAAA.{}", hex(&CA));
    for bad in ["", "ferry1", "ferry1..", cut, &long, &more, &other, &short_secret] {
        assert_eq!(JoinToken::parse(bad, &CA).expect_err("not a token"), Error::Malformed, "{bad}");
    }
}

#[test]
fn debug_hides_the_secret() {
    assert_eq!(format!("{:?}", JoinToken::generate(CA)), "JoinToken(..)");
}
