//! Compiles the contract with protox: no protoc is needed, and the descriptors keep their comments for reflection.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=ecowire");
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    for file in ["messages", "statements", "ledger", "services"] {
        compiler.open_file(format!("ecowire/v1/{file}.proto"))?;
    }
    let bytes = compiler.encode_file_descriptor_set();
    std::fs::write(std::path::Path::new(&std::env::var("OUT_DIR")?).join("ecowire.bin"), &bytes)?;
    let services = std::env::var_os("CARGO_FEATURE_SERVICES").is_some();
    tonic_prost_build::configure()
        .build_client(services)
        .build_server(services)
        .build_transport(false)
        .bytes(".")
        .codec_path("crate::codec::Lean")
        .compile_fds(prost_types::FileDescriptorSet::decode(bytes.as_slice())?)?;
    Ok(())
}
