//! Compiles what is sealed, apart from the contract that the gateway links.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../proto/ecowire/content");
    let mut compiler = protox::Compiler::new(["../proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file("ecowire/content/v1/ecomessage.proto")?;
    let bytes = compiler.encode_file_descriptor_set();
    std::fs::write(std::path::Path::new(&std::env::var("OUT_DIR")?).join("content.bin"), &bytes)?;
    prost_build::Config::new().compile_fds(prost_types::FileDescriptorSet::decode(bytes.as_slice())?)?;
    Ok(())
}
