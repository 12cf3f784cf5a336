//! Compiles the protobufs of the test CSI driver without a `protoc` binary: the Container Storage Interface and
//! the kubelet's plugin registration. Comments are left out of the generated code: upstream's indented examples
//! would be taken for doc tests.

use std::error::Error;

const PROTOS: [&str; 2] = ["proto/csi.proto", "proto/pluginregistration.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for proto in PROTOS {
        println!("cargo::rerun-if-changed={proto}");
    }
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure().disable_comments(["."]).compile_fds(descriptors)?;
    Ok(())
}
