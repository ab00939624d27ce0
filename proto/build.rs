//! Compiles the contract with protox: no protoc is needed, and the descriptors keep their comments for reflection.

use std::fmt::Write as _;

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
    let set = prost_types::FileDescriptorSet::decode(bytes.as_slice())?;
    let shapes = std::path::Path::new(&std::env::var("OUT_DIR")?).join("shapes.rs");
    std::fs::write(shapes, shapes_of(&set)?)?;
    let services = std::env::var_os("CARGO_FEATURE_SERVICES").is_some();
    tonic_prost_build::configure()
        .build_client(services)
        .build_server(services)
        .build_transport(false)
        .bytes(".")
        .codec_path("crate::codec::Lean")
        .compile_fds(set)?;
    Ok(())
}

/// For each message which of its fields are messages, and its place in that table: what `fields.rs` counts by.
fn shapes_of(set: &prost_types::FileDescriptorSet) -> Result<String, std::fmt::Error> {
    let mut messages: Vec<(String, &prost_types::DescriptorProto)> = Vec::new();
    for file in &set.file {
        let mut waiting: Vec<_> = file.message_type.iter().map(|message| (file.package().to_owned(), message)).collect();
        while let Some((scope, message)) = waiting.pop() {
            let name = format!("{scope}.{}", message.name());
            waiting.extend(message.nested_type.iter().map(|nested| (name.clone(), nested)));
            messages.push((name, message));
        }
    }
    let place = |name: &str| messages.iter().position(|(other, _)| Some(other.as_str()) == name.strip_prefix('.'));
    let mut out = String::new();
    writeln!(out, "static SHAPES: &[Shape] = &[")?;
    for (_, message) in &messages {
        let nested: Vec<_> = message.field.iter().filter_map(|field| Some((field.number(), place(field.type_name())?))).collect();
        writeln!(out, "    &{nested:?},")?;
    }
    writeln!(out, "];")?;
    for (place, (name, _)) in messages.iter().enumerate() {
        // What stands within another message never comes alone.
        if let Some(name) = name.strip_prefix("ecowire.v1.").filter(|name| !name.contains('.')) {
            writeln!(out, "impl Shaped for crate::v1::{name} {{\n    const SHAPE: usize = {place};\n}}")?;
        }
    }
    Ok(out)
}
