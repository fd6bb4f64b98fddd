//! The handler of customers.
fn main() -> std::process::ExitCode {
    shell::run([shell::handler::<customers::Customers>()])
}
