//! Compiles what is sealed, apart from the contract that the gateway links.

use prost::Message as _;

/// The files with forms; each brings in what it shares with others.
const FILES: [&str; 8] = ["ecomessage", "requests", "alerts", "operations", "queries", "notices", "corrections", "service"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../proto/ecowire/content");
    let mut compiler = protox::Compiler::new(["../proto"])?;
    compiler.include_imports(true).include_source_info(true);
    for file in FILES {
        compiler.open_file(format!("ecowire/content/v1/{file}.proto"))?;
    }
    let bytes = compiler.encode_file_descriptor_set();
    std::fs::write(std::path::Path::new(&std::env::var("OUT_DIR")?).join("content.bin"), &bytes)?;
    prost_build::Config::new().compile_fds(prost_types::FileDescriptorSet::decode(bytes.as_slice())?)?;
    Ok(())
}
