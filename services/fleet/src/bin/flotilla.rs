//! The command line of the fleet.
fn main() -> std::process::ExitCode {
    fleet::cli::main()
}
