//! The command `ecowire-certs`: makes a development PKI and takes certificates of it back.
//!
//! It does not know how: the library does. Exit codes: 0 done, 2 wrong usage, 1 anything else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use envelope::address::{Address, Network};
use proto::v1::Kind;
use proto::words::Word as _;

use crate::{MintOptions, Minted, Revocation};

/// Makes and changes a PKI for development: every key in one folder, every CA named DEV.
#[derive(Parser)]
#[command(name = "ecowire-certs", after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a network: root, CAs, certificates and keys of each address, genesis and trust file
    #[command(after_help = EXAMPLES)]
    Mint {
        /// Folder to make; nothing is ever overwritten
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Name of the network, such as ecowire.test
        #[arg(long, value_parser = network)]
        network: Network,
        /// Whose identity keys are P-256 instead of Ed25519, separated by commas; `all` for everybody
        #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', value_parser = holder)]
        p256: Vec<Holder>,
        /// Kinds that two officers' seats of the sender sign, separated by commas, such as diffusion,deletion
        #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
        dual_control: Vec<Kind>,
        /// How many messages to more than 64 recipients each member sends a day; 0 for no bound
        #[arg(long, value_name = "N", default_value_t = 0)]
        broadcasts_per_day: u32,
        /// Who takes part; exactly one is a node
        #[arg(required = true, value_name = "ADDRESS", value_parser = address)]
        addresses: Vec<Address>,
    },
    /// Take both certificates of an address back: the next revocation list of its issuer
    #[command(after_help = EXAMPLES)]
    Revoke {
        /// Folder of the PKI
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Whose certificates
        #[arg(value_parser = address)]
        address: Address,
    },
    /// Make keys and certificates for one more address, for its bureau to enrol
    #[command(after_help = EXAMPLES)]
    Issue {
        /// Folder of the PKI
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Whose certificates
        #[arg(value_parser = address)]
        address: Address,
        /// For how many days they hold, 398 when left out: those of a team that is sent somewhere end with its mission
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=398))]
        days: Option<u16>,
    },
    /// Sign the time as the network authority, for a gateway that does not believe its clock
    #[command(after_help = EXAMPLES)]
    ClockStep {
        /// Folder of the PKI
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Number of the statement, when the gateway asks for another (BAD_SEQUENCE)
        #[arg(long)]
        seq: Option<u64>,
        /// SHA-256 of the statement before it, in hex; left out for number 1
        #[arg(long, value_name = "HEX", requires = "seq", value_parser = digest)]
        prev: Option<Digest>,
    },
    #[command(flatten)]
    Common(command::Common),
}

/// What can be typed, for the help, the manual and completions.
#[must_use]
pub fn command(version: &'static str) -> clap::Command {
    command::dress(Arguments::command(), version)
}

/// Runs the command with its arguments, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>, version: &'static str) -> ExitCode {
    // Wrong usage ends here, by clap, with code 2.
    let arguments = Arguments::from_arg_matches(&command(version).get_matches_from(args)).unwrap_or_else(|error| error.exit());
    let done = match arguments.command {
        Command::Common(common) => {
            return common.carry_out(command(version)).map_or_else(
                |error| {
                    eprintln!("error: {error}");
                    ExitCode::FAILURE
                },
                |()| ExitCode::SUCCESS,
            );
        }
        Command::Mint { out, network, p256, dual_control, broadcasts_per_day, addresses } => {
            let p256 = holders(p256, &addresses);
            let options = MintOptions { p256, dual_control, broadcasts_per_day, ..MintOptions::new(&out, network, addresses) };
            crate::mint(&options).map(|minted| print_minted(&out, &minted))
        }
        Command::Revoke { out, address } => crate::revoke(&out, &address).map(|made| print_revoked(&address, &made)),
        Command::Issue { out, address, days } => crate::issue(&out, &address, days).map(|made| {
            let (address, folder) = (made.address, made.folder.display());
            println!("{address}: certificates and keys in {folder}");
            println!("Next: its bureau enrols it with {folder}/identity.pem.");
        }),
        Command::ClockStep { out, seq, prev } => {
            let place = seq.map(|seq| (seq, prev.map(|digest| digest.0.to_vec()).unwrap_or_default()));
            crate::clock_step(&out, place).map(|path| print_stepped(&path))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let usage = error.is_usage();
            eprintln!("error: {:#}", anyhow::Error::from(error));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

/// 32 bytes as 64 hexadecimal digits.
#[derive(Clone)]
struct Digest([u8; 32]);

fn digest(text: &str) -> Result<Digest, String> {
    let pair = |at: usize| text.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..32).map(pair).collect();
    let bytes = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
    bytes.map(Digest).ok_or_else(|| "a digest is 64 hexadecimal digits".to_owned())
}

/// Whose keys are meant.
#[derive(Clone)]
enum Holder {
    Everybody,
    One(Address),
}

fn holder(text: &str) -> Result<Holder, envelope::address::AddressError> {
    if text == "all" { Ok(Holder::Everybody) } else { address(text).map(Holder::One) }
}

fn holders(named: Vec<Holder>, all: &[Address]) -> Vec<Address> {
    let of = |holder| match holder {
        Holder::Everybody => all.to_vec(),
        Holder::One(address) => vec![address],
    };
    named.into_iter().flat_map(of).collect()
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_word(text).ok_or_else(|| format!("the kinds: {}", Kind::words().join(", ")))
}

fn print_stepped(path: &Path) {
    println!("{}: signed; it holds for five minutes", path.display());
    println!("Next: ecowire-gateway serve --config gateway.toml --clock-step {}", path.display());
}

fn print_minted(out: &Path, minted: &Minted) {
    for participant in &minted.participants {
        println!("{:<24} {}", participant.address.as_str(), participant.folder.display());
    }
    println!("{:<24} {} (gateway)", minted.node.address.as_str(), minted.node.folder.display());
    let out = out.display();
    println!("\nNext: start the gateway with {out}/genesis.bin and its folder; give each participant its folder and");
    println!("{out}/trust.toml. {out}/authority holds the keys of all CAs: it stays here.");
}

fn print_revoked(address: &Address, made: &Revocation) {
    println!("{address}: {} of its certificates on {}, number {}", made.serials.len(), made.crl.display(), made.number);
    println!("Next: give that list to the gateway.");
}

fn address(text: &str) -> Result<Address, envelope::address::AddressError> {
    Address::parse(text)
}

fn network(text: &str) -> Result<Network, envelope::address::NetworkError> {
    Network::parse(text)
}

const EXAMPLES: &str = "\
Examples:
  ecowire-certs mint --out pki --network ecowire.test ke th ke/cus/kemba ipsg/ens aud/network node/dev-1
  ecowire-certs mint --out pki --network ecowire.test --dual-control diffusion,deletion ke th ke/desk/duty-1 ke/desk/duty-2 node/dev-1
  ecowire-certs issue --out pki ke/air/kenbo
  ecowire-certs revoke --out pki ke/cus/kemba
  ecowire-certs clock-step --out pki

Exit codes: 0 done, 2 wrong usage, 1 anything else (nothing was changed).";
