use super::*;

#[test]
fn addresses_have_a_host_and_a_port() {
    for text in ["controller.ferry.svc:8443", "10.0.0.1:8443", "[fd00::1]:8443"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    for text in ["", "controller", "controller:", ":8443", "controller:65536", "https://controller:8443"] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}
