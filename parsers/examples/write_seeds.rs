//! Writes the seeds of every fuzz target into a folder of its own: `cargo run -p parsers --example write_seeds -- fuzz/corpus`.

fn main() {
    let folder = std::env::args_os().nth(1).map(std::path::PathBuf::from).expect("the folder of the corpora");
    let mut count = 0;
    for target in parsers::TARGETS {
        let corpus = folder.join(target.name);
        std::fs::create_dir_all(&corpus).expect("a folder");
        for seed in (target.seeds)() {
            let name: String = tlog::sha256(&seed).iter().take(10).map(|byte| format!("{byte:02x}")).collect();
            std::fs::write(corpus.join(name), seed).expect("written");
            count += 1;
        }
    }
    println!("{count} seeds of {} targets in {}", parsers::TARGETS.len(), folder.display());
}
