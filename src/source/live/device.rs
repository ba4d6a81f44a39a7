//! Devices: how they are opened, listed and described, and why one cannot be.

use std::os::fd::AsRawFd;

use pcap::{Active, Capture, Device, Linktype, Precision};

use crate::packet::LinkType;
use crate::source::SourceError;

/// How long the kernel may gather packets before it hands them out. Above zero: libpcap takes zero for ever.
pub(super) const GATHER_MS: i32 = 20;

/// The kernel's buffers that are tried, in bytes: a burst on a busy server fits the first; memory may be short.
const BUFFERS: [i32; 3] = [64 << 20, 16 << 20, 2 << 20];

/// How to capture.
#[derive(Clone, Debug, Default)]
pub struct LiveOptions {
    /// Bytes to keep of each packet; 0 for all.
    pub snap_length: u32,
    /// The kernel's buffer in bytes; `None` for the largest that can be had.
    pub buffer: Option<i32>,
    /// Whether interfaces are put into promiscuous mode. Never `any`, which newer versions of libpcap refuse.
    pub promiscuous: bool,
    /// Whether each packet is fetched at once. It costs most packets of a busy line.
    pub immediate: bool,
    /// The link type to ask for, by its name.
    pub link: Option<String>,
    /// Whether to wait for interfaces to come back when all are gone. Else the capture is over.
    pub patient: bool,
}

/// The interfaces that can be captured on, one a line, as tcpdump -D shows them.
///
/// # Errors
///
/// When libpcap cannot list them.
pub fn list() -> Result<String, SourceError> {
    let devices = Device::list().map_err(|error| SourceError::Live(format!("cannot list interfaces: {error}")))?;
    let mut lines = String::new();
    for (index, device) in devices.iter().enumerate() {
        let flags = [
            (device.flags.is_up(), "Up"),
            (device.flags.is_running(), "Running"),
            (device.flags.is_loopback(), "Loopback"),
            (device.flags.is_wireless(), "Wireless"),
        ];
        let flags: Vec<&str> = flags.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
        let description = device.desc.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        let flags = if flags.is_empty() { String::new() } else { format!(" [{}]", flags.join(", ")) };
        lines.push_str(&format!("{}.{}{description}{flags}\n", index + 1, device.name));
    }
    Ok(lines)
}

/// The link types that an interface can be captured with, one a line.
///
/// # Errors
///
/// When it cannot be opened.
pub fn list_links(name: &str, options: &LiveOptions) -> Result<String, SourceError> {
    let capture = open_device(name, options)?;
    let links = capture.list_datalinks().map_err(|error| cannot_capture(name, &error))?;
    let mut lines = format!("Data link types for {name} (use option -y to set):\n");
    for link in links {
        let name = link.get_name().unwrap_or_else(|_| link.0.to_string());
        let description = link.get_description().unwrap_or_default();
        lines.push_str(&format!("  {name} ({description})\n"));
    }
    Ok(lines)
}

pub(super) fn open_device(name: &str, options: &LiveOptions) -> Result<Capture<Active>, SourceError> {
    let name = by_number(name).unwrap_or_else(|| name.to_owned());
    let promiscuous = options.promiscuous && name != "any";
    let buffers = options.buffer.map_or(BUFFERS.to_vec(), |buffer| vec![buffer]);
    let mut failed = None;
    for (buffer, promiscuous) in buffers.iter().map(|&buffer| (buffer, promiscuous)).chain([(buffers[0], false)]) {
        match activate(&name, buffer, promiscuous, options) {
            Ok(mut capture) => {
                choose_link(&name, &mut capture, options)?;
                ignore_outgoing(&name, &capture);
                return Ok(capture);
            }
            Err(error) => failed = Some(error),
        }
    }
    let error = failed.unwrap_or(pcap::Error::InvalidString);
    Err(cannot_capture(&name, &error))
}

fn activate(name: &str, buffer: i32, promiscuous: bool, options: &LiveOptions) -> Result<Capture<Active>, pcap::Error> {
    let snap_length = if options.snap_length == 0 { 262_144 } else { options.snap_length };
    let capture = Capture::from_device(name)?
        .promisc(promiscuous)
        .snaplen(i32::try_from(snap_length).unwrap_or(i32::MAX))
        .buffer_size(buffer)
        .timeout(GATHER_MS)
        .immediate_mode(options.immediate);
    // A device without nanoseconds is rare; it is then read as if its microseconds were all there is.
    capture.precision(Precision::Nano).open()
}

/// The link type of this name.
///
/// # Errors
///
/// When libpcap knows no such link type.
pub fn link_type(name: &str) -> Result<LinkType, SourceError> {
    let link = Linktype::from_name(name).ok().and_then(|link| u16::try_from(link.0).ok());
    link.map(LinkType).ok_or_else(|| SourceError::Live(format!("{name} is no link type; wsflow -L -i NAME lists them")))
}

/// `any` gives its first cooked format unless asked for the second, which knows the interface of each packet.
fn choose_link(name: &str, capture: &mut Capture<Active>, options: &LiveOptions) -> Result<(), SourceError> {
    match &options.link {
        Some(link) => {
            let wanted = Linktype(i32::from(link_type(link)?.0));
            capture.set_datalink(wanted).map_err(|error| cannot_capture(name, &error))
        }
        None if name == "any" => {
            let _ = capture.set_datalink(Linktype(i32::from(LinkType::LINUX_SLL2.0)));
            Ok(())
        }
        None => Ok(()),
    }
}

/// On loopback the kernel shows every packet twice, as it goes out and as it comes in, and libpcap throws one away.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "libpcap has no option for PACKET_IGNORE_OUTGOING; the socket is its own")]
fn ignore_outgoing(name: &str, capture: &Capture<Active>) {
    const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
    if name != "lo" {
        return;
    }
    let yes: libc::c_int = 1;
    // SAFETY: the descriptor is open as long as `capture` lives, the value is a c_int of that size. Kernels before 4.20
    // refuse the option, which costs nothing but speed.
    unsafe {
        libc::setsockopt(
            capture.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_IGNORE_OUTGOING,
            (&raw const yes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn ignore_outgoing(_name: &str, _capture: &Capture<Active>) {}

/// What of an interface is asked while it is captured on; `None` where that cannot be told, or it is not one but `any`.
pub(super) fn property(name: &str, property: &str) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/sys/class/net/{name}/{property}")).ok()?;
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether an interface is up.
pub(super) fn is_up(name: &str) -> Option<bool> {
    const IFF_UP: u32 = 1;
    Some(property(name, "flags")? & IFF_UP != 0)
}

/// What kind of link it has: the `ARPHRD_` number, on which the link type depends.
pub(super) fn kind(name: &str) -> Option<u32> {
    property(name, "type")
}

/// Captures on the interface that has the name of one that is gone. Only making a socket takes a right, which was given up;
/// binding one that is there takes none (packet(7)). Its filter stays, its promiscuous mode went with the interface.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "libpcap cannot bind a socket again; the socket is its own")]
pub(super) fn bind_again(name: &str, capture: &Capture<Active>, promiscuous: bool) -> bool {
    let Some(index) = property(name, "ifindex").and_then(|index| libc::c_int::try_from(index).ok()) else {
        return false;
    };
    // SAFETY: both are plain numbers, for which zeros are values.
    let (mut address, mut membership): (libc::sockaddr_ll, libc::packet_mreq) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    (membership.mr_ifindex, membership.mr_type) = (index, libc::PACKET_MR_PROMISC as u16);
    // SAFETY: the descriptor is open as long as `capture` lives; each pointer is to a value of the size that is passed.
    unsafe {
        let bound = libc::bind(
            capture.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        );
        if promiscuous && bound == 0 {
            libc::setsockopt(
                capture.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const membership).cast(),
                size_of::<libc::packet_mreq>() as libc::socklen_t,
            );
        }
        bound == 0
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn bind_again(_name: &str, _capture: &Capture<Active>, _promiscuous: bool) -> bool {
    false
}

/// An interface may be named by its number in the list, as with tcpdump.
fn by_number(name: &str) -> Option<String> {
    let number: usize = name.parse().ok()?;
    let devices = Device::list().ok()?;
    devices.get(number.checked_sub(1)?).map(|device| device.name.clone())
}

/// What libpcap says differs from version to version: the privilege is looked at, not the text.
pub(super) fn cannot_capture(name: &str, error: &pcap::Error) -> SourceError {
    if !may_capture() {
        return SourceError::Live(format!(
            "cannot capture on {name}: permission denied (CAP_NET_RAW is missing); run: sudo wsflow -i {name}, or once: \
             sudo setcap cap_net_raw,cap_net_admin=eip $(command -v wsflow)"
        ));
    }
    let reason = reason_of(error);
    let way_out = match reason.contains("DLTs") {
        true => format!("wsflow -L -i {name} lists its link types"),
        false => "wsflow -D lists the interfaces".to_owned(),
    };
    SourceError::Live(format!("cannot capture on {name}: {reason}; {way_out}"))
}

/// What libpcap says, without what the crate puts in front.
pub(super) fn reason_of(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(target_os = "linux")]
fn may_capture() -> bool {
    caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_RAW).unwrap_or(true)
}

#[cfg(not(target_os = "linux"))]
fn may_capture() -> bool {
    true
}
