//! A compiled filter as text, as tcpdump prints it: instructions by name, as C, or as numbers.

use std::fmt::Write as _;

/// One instruction of the packet filter machine (bpf(4)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) when_true: u8,
    pub(super) when_false: u8,
    pub(super) operand: u32,
}

/// How to print a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// By name (`-d`).
    Names,
    /// As the initialiser of an array in C (`-dd`).
    C,
    /// As decimal numbers, their count first (`-ddd`).
    Numbers,
}

/// All of it, one instruction a line.
pub(super) fn listing(program: &[Instruction], style: Style) -> String {
    let mut out = String::new();
    let written = match style {
        Style::Names => program.iter().enumerate().try_for_each(|(at, one)| writeln!(out, "{}", named(at, *one))),
        Style::C => program.iter().try_for_each(|one| {
            let Instruction { code, when_true, when_false, operand } = one;
            writeln!(out, "{{ {code:#x}, {when_true}, {when_false}, {operand:#010x} }},")
        }),
        Style::Numbers => writeln!(out, "{}", program.len()).and_then(|()| {
            program.iter().try_for_each(|one| {
                let Instruction { code, when_true, when_false, operand } = one;
                writeln!(out, "{code} {when_true} {when_false} {operand}")
            })
        }),
    };
    written.expect("writing to a string cannot fail");
    out
}

/// `(001) jeq      #0x800           jt 2 jf 5`, with a tab before the last word.
fn named(at: usize, one: Instruction) -> String {
    const JUMP: u16 = 0x05;
    let (name, operand) = words(at, one);
    let conditional = one.code & 0x07 == JUMP && one.code & 0xf0 != 0;
    if conditional {
        let (when_true, when_false) = (at + 1 + usize::from(one.when_true), at + 1 + usize::from(one.when_false));
        format!("({at:03}) {name:8} {operand:16} jt {when_true}\tjf {when_false}")
    } else {
        format!("({at:03}) {name:8} {operand}")
    }
}

/// The name of an instruction, and what it works on.
fn words(at: usize, one: Instruction) -> (&'static str, String) {
    let k = one.operand;
    let signed = k.cast_signed();
    match one.code {
        0x00 => ("ld", format!("#{k:#x}")),
        0x01 => ("ldx", format!("#{k:#x}")),
        0x20 => ("ld", format!("[{signed}]")),
        0x28 => ("ldh", format!("[{signed}]")),
        0x30 => ("ldb", format!("[{signed}]")),
        0x40 => ("ld", format!("[x + {signed}]")),
        0x48 => ("ldh", format!("[x + {signed}]")),
        0x50 => ("ldb", format!("[x + {signed}]")),
        0x60 => ("ld", format!("M[{k}]")),
        0x61 => ("ldx", format!("M[{k}]")),
        0x80 => ("ld", "#pktlen".to_owned()),
        0xb1 => ("ldxb", format!("4*([{signed}]&0xf)")),
        0x02 => ("st", format!("M[{k}]")),
        0x03 => ("stx", format!("M[{k}]")),
        0x06 => ("ret", format!("#{signed}")),
        0x16 => ("ret", String::new()),
        0x05 => ("ja", (at + 1 + k as usize).to_string()),
        0x07 => ("tax", String::new()),
        0x87 => ("txa", String::new()),
        0x84 => ("neg", String::new()),
        code if code & 0x07 == 0x05 => (jump(code), operand(code, k, true)),
        code if code & 0x07 == 0x04 => (arithmetic(code), operand(code, k, matches!(code >> 4, 4 | 5 | 10))),
        code => ("unimp", format!("{code:#x}")),
    }
}

/// A number, or the index register.
fn operand(code: u16, k: u32, hexadecimal: bool) -> String {
    match (code & 0x08 != 0, hexadecimal) {
        (true, _) => "x".to_owned(),
        (false, true) => format!("#{k:#x}"),
        (false, false) => format!("#{}", k.cast_signed()),
    }
}

fn jump(code: u16) -> &'static str {
    match code >> 4 & 0x0f {
        1 => "jeq",
        2 => "jgt",
        3 => "jge",
        4 => "jset",
        _ => "unimp",
    }
}

fn arithmetic(code: u16) -> &'static str {
    const NAMES: [&str; 11] = ["add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor"];
    NAMES.get(usize::from(code >> 4)).copied().unwrap_or("unimp")
}
