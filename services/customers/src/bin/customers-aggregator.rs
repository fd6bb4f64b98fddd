//! The aggregator of customers.
fn main() -> std::process::ExitCode {
    shell::run([shell::aggregator::<customers::Customers>()])
}
