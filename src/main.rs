//! The program.

/// Sessions end in swarms, and what they held is asked for again by others at once: glibc's allocator takes a fifth of the
/// time of a capture full of short or of idle sessions, this one next to none.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    wsflow::app::run(std::env::args_os())
}
