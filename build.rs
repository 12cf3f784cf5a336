//! Generates the wire from `proto/`. protox compiles the descriptors, so that no `protoc` binary is needed.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 3] =
    ["ferry/agent/v1/agent.proto", "ferry/admin/v1/admin.proto", "ferry/enroll/v1/enroll.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(out, prost_bytes(&descriptors))?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}

fn prost_bytes(descriptors: &impl protox::prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
