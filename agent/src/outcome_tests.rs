use super::*;

fn api(code: u16, reason: &str) -> kube::Error {
    kube::Error::Api(kube::core::Status::failure("said so", reason).with_code(code).boxed())
}

#[test]
fn only_a_clear_answer_excludes_a_write() {
    for (code, reason, class) in [
        (404, "NotFound", Class::Missing),
        (409, "AlreadyExists", Class::Exists),
        (409, "Conflict", Class::Conflict),
        (422, "Invalid", Class::Invalid),
        (400, "BadRequest", Class::Invalid),
        (403, "Forbidden", Class::Denied),
        (401, "Unauthorized", Class::Denied),
        (410, "Expired", Class::Expired),
        (429, "TooManyRequests", Class::Busy),
        (500, "InternalError", Class::Ambiguous),
        (503, "ServiceUnavailable", Class::Ambiguous),
        (504, "Timeout", Class::Ambiguous),
        (0, "", Class::Ambiguous),
    ] {
        assert_eq!(classify(&api(code, reason)), class, "{code} {reason}");
    }
    let lost = kube::Error::Service(Box::new(std::io::Error::other("reset")));
    assert_eq!(classify(&lost), Class::Ambiguous);
}

#[test]
fn an_ambiguous_error_is_never_a_refusal() {
    let stop = Stop::from(api(504, "Timeout")).at(6);
    assert!(matches!(stop, Stop::Unknown { step: 6, .. }), "{stop:?}");
    let stop = Stop::from(api(403, "Forbidden")).at(5);
    assert!(matches!(stop, Stop::Refused { code: RefusalCode::Denied, step: 5, .. }), "{stop:?}");
}

#[test]
fn a_step_that_was_said_stays() {
    let stop = Stop::Unknown { step: 7, message: String::new(), unproven: Vec::new() }.at(9);
    assert_eq!(stop, Stop::Unknown { step: 7, message: String::new(), unproven: Vec::new() });
}

#[test]
fn messages_are_cut_between_characters() {
    let text = bounded("ä".repeat(crate::limits::MESSAGE_BYTES));
    assert!(text.len() <= crate::limits::MESSAGE_BYTES && text.ends_with('…'));
    assert_eq!(bounded("short".to_owned()), "short");
}
