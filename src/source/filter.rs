//! Filter words: pcap filter expressions, as tcpdump takes them.

use std::fmt;
use std::fs;
use std::io;

#[cfg(feature = "live")]
mod listing;

use super::error::without_code;
use crate::packet::{LinkType, Packet};
#[cfg(feature = "live")]
pub use listing::Style;
use program::Program;

/// The filters in `capture-filters/`, by name for `-F`. The README there says what each of them selects.
pub const NAMED: [(&str, &str); 4] = [
    ("websocket-ports", include_str!("../../capture-filters/websocket-ports.bpf")),
    ("websocket-ports-vlan", include_str!("../../capture-filters/websocket-ports-vlan.bpf")),
    ("websocket-tunnels", include_str!("../../capture-filters/websocket-tunnels.bpf")),
    ("websocket-handshakes", include_str!("../../capture-filters/websocket-handshakes.bpf")),
];

/// A filter. What an expression means depends on the link type: it is compiled anew for each one that is met.
///
/// `len`, `less` and `greater` see the bytes that were captured, not those on the wire.
#[derive(Debug)]
pub struct Filter {
    expression: String,
    programs: Vec<(LinkType, Program)>,
}

/// Why a filter cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FilterError {
    /// The expression makes no sense.
    Expression {
        /// As it was given.
        expression: String,
        /// libpcap's words.
        reason: String,
    },
    /// The expression makes sense, but not for packets of this link type.
    LinkType {
        /// As it was given.
        expression: String,
        /// Which.
        link: LinkType,
        /// libpcap's words.
        reason: String,
    },
    /// A filter file that cannot be read, or a name that no filter has.
    File {
        /// As it was given.
        name: String,
        /// Why.
        reason: String,
    },
    /// This build has no libpcap, which compiles expressions.
    Unavailable,
}

impl Filter {
    /// Takes an expression that makes sense for at least one usual link type.
    pub fn new(expression: &str) -> Result<Filter, FilterError> {
        let mut filter = Filter { expression: expression.to_owned(), programs: Vec::new() };
        let mut first = Ok(());
        for link in [LinkType::ETHERNET, LinkType::LINUX_SLL2, LinkType::RAW] {
            match filter.compile(link) {
                Ok(()) => return Ok(filter),
                Err(FilterError::LinkType { expression, reason, .. }) => {
                    first = first.and(Err(FilterError::Expression { expression, reason }));
                }
                Err(error) => return Err(error),
            }
        }
        first.map(|()| filter)
    }

    /// The expression.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether a packet is selected. Packets of a link type that is not known here never are.
    #[inline]
    pub fn selects(&mut self, packet: &Packet<'_>) -> Result<bool, FilterError> {
        loop {
            match self.programs.iter().find(|(link, _)| *link == packet.link) {
                Some((_, program)) => return Ok(program.selects(packet.data)),
                None if packet.link.is_known() => self.compile(packet.link)?,
                None => return Ok(false),
            }
        }
    }

    /// An expression as it is compiled for a link type.
    #[cfg(feature = "live")]
    pub fn list(expression: &str, link: LinkType, style: Style) -> Result<String, FilterError> {
        Program::compile(expression, link).map(|program| listing::listing(&program.instructions(), style))
    }

    fn compile(&mut self, link: LinkType) -> Result<(), FilterError> {
        let program = Program::compile(&self.expression, link)?;
        self.programs.push((link, program));
        Ok(())
    }
}

/// The expression in a file or, when there is no such file, of the filter with that name. Comments, from `#` to the end
/// of their line, are left out.
pub fn read(name: &str) -> Result<String, FilterError> {
    let text = match fs::read_to_string(name) {
        Ok(text) => text,
        Err(error) => match NAMED.iter().find(|(named, _)| *named == name) {
            Some((_, text)) => (*text).to_owned(),
            None => return Err(FilterError::File { name: name.to_owned(), reason: not_there(&error) }),
        },
    };
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
}

fn not_there(error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::NotFound {
        return without_code(error);
    }
    let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
    format!("no such file, and no filter of that name; there are {}", names.join(", "))
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilterError::Expression { expression, reason } => {
                write!(f, "filter \"{expression}\": {reason}; man pcap-filter has the grammar")
            }
            FilterError::LinkType { expression, link, reason } => {
                write!(f, "filter \"{expression}\" does not fit the packets (link type {}): {reason}", link.0)
            }
            FilterError::File { name, reason } => write!(f, "filter file {name}: {reason}"),
            FilterError::Unavailable => write!(
                f,
                "this wsflow was built without libpcap and has no filters; build it with --features live, or cut the \
                 file first: tcpdump -r IN -w OUT FILTER"
            ),
        }
    }
}

impl std::error::Error for FilterError {}

#[cfg(feature = "live")]
mod program {
    use std::fmt;

    use pcap::{Capture, Linktype};

    use super::FilterError;
    use super::listing::Instruction;
    use crate::packet::LinkType;

    /// An expression compiled for one link type.
    pub(super) struct Program(pcap::BpfProgram);

    impl Program {
        pub(super) fn compile(expression: &str, link: LinkType) -> Result<Program, FilterError> {
            let compiled = Capture::dead(capture_type(link)).and_then(|capture| capture.compile(expression, true));
            compiled.map(Program).map_err(|error| FilterError::LinkType {
                expression: expression.to_owned(),
                link,
                reason: match error {
                    pcap::Error::PcapError(text) => text,
                    other => other.to_string(),
                },
            })
        }

        #[inline]
        pub(super) fn selects(&self, data: &[u8]) -> bool {
            self.0.filter(data)
        }

        /// Its instructions. The crate shows their fields as text only.
        pub(super) fn instructions(&self) -> Vec<Instruction> {
            let fields = |text: String| {
                let numbers: Vec<u32> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
                let [code, when_true, when_false, operand] = numbers[..] else { return Instruction::default() };
                Instruction { code: code as u16, when_true: when_true as u8, when_false: when_false as u8, operand }
            };
            self.0.get_instructions().iter().map(|instruction| fields(instruction.to_string())).collect()
        }
    }

    impl fmt::Debug for Program {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "Program({} instructions)", self.0.get_instructions().len())
        }
    }

    /// What libpcap calls a link type in a program, where that differs from its number in files (pcap-linktype(7)).
    fn capture_type(link: LinkType) -> Linktype {
        let open_bsd = cfg!(target_os = "openbsd");
        Linktype(match link {
            LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD if open_bsd => 14,
            LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => 12,
            LinkType::LOOP if open_bsd => 12,
            other => i32::from(other.0),
        })
    }
}

#[cfg(not(feature = "live"))]
mod program {
    use super::FilterError;
    use crate::packet::LinkType;

    /// There is none without libpcap.
    #[derive(Debug)]
    pub(super) enum Program {}

    impl Program {
        pub(super) fn compile(_: &str, _: LinkType) -> Result<Program, FilterError> {
            Err(FilterError::Unavailable)
        }

        pub(super) fn selects(&self, _: &[u8]) -> bool {
            match *self {}
        }
    }
}

#[cfg(test)]
#[cfg(feature = "live")]
mod tests {
    use super::*;
    use crate::packet::{InterfaceId, PacketNumber};
    use crate::time::Timestamp;

    fn selects(filter: &mut Filter, link: LinkType, data: &[u8]) -> Result<bool, FilterError> {
        filter.selects(&Packet {
            number: PacketNumber(1),
            at: Timestamp::ZERO,
            interface: InterfaceId(0),
            link,
            length: data.len() as u32,
            data,
        })
    }

    /// A TCP segment to port 80 in each kind of packet.
    fn samples() -> Vec<(LinkType, Vec<u8>)> {
        let mut frame = Vec::new();
        let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        builder.tcp(40000, 80, 1, 100).write(&mut frame, b"x").unwrap();
        let ip = &frame[14..];
        vec![
            (LinkType::ETHERNET, frame.clone()),
            (LinkType::NULL, [&2u32.to_ne_bytes()[..], ip].concat()),
            (LinkType::LOOP, [&2u32.to_be_bytes()[..], ip].concat()),
            (LinkType::LINUX_SLL, [&[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], ip].concat()),
            (LinkType::LINUX_SLL2, [&[8, 0], &[0; 18][..], ip].concat()),
            (LinkType::RAW, ip.to_vec()),
            (LinkType::RAW_BSD, ip.to_vec()),
            (LinkType::RAW_OPENBSD, ip.to_vec()),
            (LinkType::IPV4, ip.to_vec()),
        ]
    }

    #[test]
    fn an_expression_means_the_same_for_every_link_type() {
        let (mut port_80, mut port_81) = (Filter::new("tcp port 80").unwrap(), Filter::new("tcp port 81").unwrap());
        for (link, data) in samples() {
            assert_eq!(selects(&mut port_80, link, &data), Ok(true), "{link:?}");
            assert_eq!(selects(&mut port_81, link, &data), Ok(false), "{link:?}");
        }
        assert_eq!(selects(&mut port_80, LinkType(105), &[0; 90]), Ok(false));
    }

    #[test]
    fn a_program_is_listed_as_tcpdump_lists_it() {
        let list = |style| Filter::list("ip and tcp[13] & 2 != 0 and len > 60", LinkType::ETHERNET, style).unwrap();
        let names = list(Style::Names);
        let expected = "\
(000) ldh      [12]
(001) jeq      #0x800           jt 2\tjf 12
(002) ldb      [23]
(003) jeq      #0x6             jt 4\tjf 12
(004) ldh      [20]
(005) jset     #0x1fff          jt 12\tjf 6
(006) ldxb     4*([14]&0xf)
(007) ldb      [x + 27]
(008) jset     #0x2             jt 9\tjf 12
(009) ld       #pktlen
(010) jgt      #0x3c            jt 11\tjf 12
(011) ret      #262144
(012) ret      #0
";
        assert_eq!(names.replace("#65535\n", "#262144\n"), expected);
        assert!(list(Style::C).starts_with("{ 0x28, 0, 0, 0x0000000c },\n"));
        assert!(list(Style::Numbers).starts_with("13\n40 0 0 12\n21 0 10 2048\n"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = Filter::new("tcp prot 80").unwrap_err().to_string();
        assert!(error.starts_with("filter \"tcp prot 80\": ") && error.contains("syntax error"), "{error}");
        let mut tags = Filter::new("vlan 7").unwrap();
        let error = selects(&mut tags, LinkType::RAW, &[0x45; 40]).unwrap_err().to_string();
        assert!(error.starts_with("filter \"vlan 7\" does not fit the packets (link type 101): "), "{error}");
    }

    #[test]
    fn files_come_before_names_and_lose_their_comments() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "# the usual\ntcp port 80 # http\n\n  or tcp port 443\n").unwrap();
        assert_eq!(read(&file.path().display().to_string()).unwrap(), "tcp port 80 or tcp port 443");
        assert!(read("websocket-ports").unwrap().starts_with("tcp port 80 or tcp port 443 or "));
        let error = read("websocket").unwrap_err().to_string();
        assert!(error.starts_with(
            "filter file websocket: no such file, and no filter of that name; there are websocket-ports, "
        ));
    }
}
