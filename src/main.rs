//! The program.

fn main() -> std::process::ExitCode {
    wsflow::app::run(std::env::args_os())
}
