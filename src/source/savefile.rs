//! Savefiles: pcap and pcapng, plain or compressed, one or several merged by time.

mod ahead;
mod appearance;
mod block;
mod buffer;
mod clocks;
mod compression;
mod file;
mod interfaces;
mod lane;
mod pcap;
mod pcapng;
#[cfg(test)]
mod samples;

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Drops, Filter, Input, Interface, Source, SourceCounts, SourceError};
use crate::time::Timestamp;

use file::File;
use interfaces::Takes;
use lane::Lane;

/// When more files than this are merged, they are read by one thread.
const FILES_READ_AHEAD: usize = 4;

/// When more files than this are merged, they are taken for pieces of one capture: their clocks are not compared.
const CLOCKS_COMPARED: usize = 16;

/// Savefiles, read as one capture: their packets come in order of time, those of one file in the order of the file, and
/// of equal times those of the file that was named first. A file whose interfaces are not in order of time is read as if
/// each were a file.
pub struct Savefiles {
    lanes: Vec<Lane>,
    merge: Merge,
    /// How many files are read.
    files: usize,
    packets: u64,
    filter: Option<Filter>,
    filtered: u64,
    interfaces: Vec<Interface>,
}

/// By how many nanoseconds the clock of each file is ahead of that of the others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Clocks(Vec<i64>);

/// How far the merging of lanes has come.
struct Merge {
    /// The lane that was read from last: it goes on until the record of another one comes first.
    turn: usize,
    /// That other record: its time and its lane. `None` when no other lane has one.
    until: Option<(Timestamp, usize)>,
    /// Lanes whose record was yielded.
    used: Vec<usize>,
}

impl Savefiles {
    /// Opens files; `-` is standard input, which is not touched before the first [`Source::next`]. Only what `filter`
    /// selects is yielded; packets are numbered before. Of several files the clocks are compared: see
    /// [`Savefiles::clocks`].
    pub fn open(paths: &[PathBuf], filter: Option<Filter>) -> Result<Savefiles, SourceError> {
        let mut files = Savefiles::open_by(paths, filter, &Clocks::default())?;
        if (2..=CLOCKS_COMPARED).contains(&paths.len()) && paths.iter().all(|path| path.is_file()) {
            let again = paths.iter().map(|path| File::open(path, false)).collect::<Result<_, _>>()?;
            files.set_clocks(&Clocks(clocks::differences(again)));
        }
        Ok(files)
    }

    /// Opens files whose clocks were compared before, so that their packets come in the same order.
    pub fn open_by(paths: &[PathBuf], filter: Option<Filter>, clocks: &Clocks) -> Result<Savefiles, SourceError> {
        let read_ahead = paths.len() <= FILES_READ_AHEAD;
        let mut lanes = Vec::new();
        for (number, path) in paths.iter().enumerate() {
            if path == Path::new("-") {
                lanes.push(Lane::new(number, File::standard_input(), Takes::All));
                continue;
            }
            for takes in interfaces::lanes(path) {
                lanes.push(Lane::new(number, File::open(path, read_ahead)?, takes));
            }
        }
        let mut files = Savefiles::with(lanes, filter);
        files.set_clocks(clocks);
        Ok(files)
    }

    /// By how much the clock of each file is ahead. Its packets are yielded with times that are moved back by it.
    pub fn clocks(&self) -> Clocks {
        Clocks(self.first_lanes().map(|lane| lane.ahead).collect())
    }

    /// One lane of each file.
    fn first_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|lane| lane.takes.is_first())
    }

    /// The files whose clocks differ from those of the others, and by how many nanoseconds they are ahead.
    pub fn other_clocks(&self) -> impl Iterator<Item = (&str, i64)> {
        self.first_lanes().filter(|lane| lane.ahead != 0).map(|lane| (&*lane.name, lane.ahead))
    }

    fn set_clocks(&mut self, Clocks(ahead): &Clocks) {
        for lane in &mut self.lanes {
            lane.ahead = ahead.get(lane.file).copied().unwrap_or_default();
        }
    }

    /// Reads one savefile from anywhere; errors call it `name`. Nothing is read before the first [`Source::next`].
    pub fn read(name: &str, reader: impl Read + Send + 'static) -> Savefiles {
        Savefiles::new(vec![File::new(name.to_owned(), Box::new(reader))], None)
    }

    fn new(files: Vec<File>, filter: Option<Filter>) -> Savefiles {
        let lane = |(number, file)| Lane::new(number, file, Takes::All);
        Savefiles::with(files.into_iter().enumerate().map(lane).collect(), filter)
    }

    fn with(lanes: Vec<Lane>, filter: Option<Filter>) -> Savefiles {
        let merge = Merge { turn: 0, until: Some((Timestamp::ZERO, 0)), used: (0..lanes.len()).rev().collect() };
        let files = lanes.last().map_or(0, |lane| lane.file + 1);
        Savefiles { lanes, merge, files, packets: 0, filter, filtered: 0, interfaces: Vec::new() }
    }

    /// Leaves of the packets that were taken last those that the filter selects, up to the next one that it does not.
    fn select(&mut self, filter: &mut Filter) -> Result<(), SourceError> {
        let lane = &mut self.lanes[self.merge.turn];
        let (mut skipped, mut selected) = (0, 0);
        for (packet, _) in lane.run(0) {
            match filter.selects(&packet) {
                Ok(true) => selected += 1,
                Ok(false) if selected == 0 => skipped += 1,
                Err(error) if selected + skipped == 0 => {
                    self.packets += 1;
                    lane.narrow(1, 0);
                    return Err(error.into());
                }
                _ => break,
            }
        }
        lane.narrow(skipped, selected);
        self.packets += skipped as u64;
        self.filtered += skipped as u64;
        Ok(())
    }
}

impl Source for Savefiles {
    fn next(&mut self, most: usize) -> Result<Option<Input<'_>>, SourceError> {
        loop {
            let more = match &mut self.lanes[..] {
                [lane] => lane.advance(most),
                lanes => self.merge.advance(lanes, most),
            };
            match more {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(*error),
                None => return Ok(None),
            }
            let turn = self.merge.turn;
            self.lanes[turn].number_interfaces(&mut self.interfaces);
            if self.lanes[turn].packets() > 0
                && let Some(mut filter) = self.filter.take()
            {
                let selected = self.select(&mut filter);
                self.filter = Some(filter);
                selected?;
                if self.lanes[turn].packets() == 0 {
                    continue;
                }
            }
            let lane = &self.lanes[turn];
            let first = if self.files == 1 { lane.number() } else { self.packets + 1 };
            self.packets += lane.packets() as u64;
            return Ok(Some(lane.input(first)));
        }
    }

    fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    fn counts(&mut self) -> SourceCounts {
        let mut drops = Drops::default();
        for interface in self.lanes.iter().flat_map(Lane::own_interfaces) {
            drops.kernel = drops.kernel.saturating_add(interface.drops.kernel);
            drops.interface = drops.interface.saturating_add(interface.drops.interface);
        }
        SourceCounts { filtered: self.filtered, received: None, drops, at: None }
    }
}

impl Merge {
    /// Turns to the lane whose record comes first, and takes what of it comes before those of others, `most` packets at most;
    /// `None` when no lane has a record.
    #[inline(never)]
    fn advance(&mut self, lanes: &mut [Lane], most: usize) -> Option<Result<(), Box<SourceError>>> {
        while let Some(index) = self.used.pop() {
            let lane = &mut lanes[index];
            let record = lane.advance(1);
            lane.waits = matches!(record, Some(Ok(())));
            if let Some(Err(error)) = record {
                return Some(Err(error));
            }
        }
        let record = |index: usize| {
            let lane = lanes.get(index).filter(|lane| lane.waits)?;
            Some((lane.at(), index))
        };
        let goes_on = |record| self.until.is_none_or(|until| record < until);
        if !record(self.turn).is_some_and(goes_on) {
            let mut first = None;
            self.until = None;
            for record in (0..lanes.len()).filter_map(record) {
                if first.is_none_or(|first| record < first) {
                    (first, self.until) = (Some(record), first);
                } else if self.until.is_none_or(|until| record < until) {
                    self.until = Some(record);
                }
            }
            self.turn = first?.1;
        }
        let (turn, until) = (self.turn, self.until);
        lanes[turn].extend(most, |at| until.is_none_or(|until| (at, turn) < until));
        self.used.push(turn);
        Some(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use proptest::prelude::*;

    use super::buffer::ByteOrder;
    use super::samples::{Pauses, Pieces, Writer, lines_of, savefiles, yields};
    use super::*;

    /// A pcapng file with a bit of everything, and a pcap file.
    fn examples() -> [Vec<u8>; 2] {
        let mut pcapng = Writer::pcapng(ByteOrder::Big);
        pcapng.interface(1, &[(2, b"eth0")]).interface(276, &[(9, &[9])]);
        pcapng.packet(0, 1_000_000, b"first").packet(1, 2_000_000_000, b"second packet");
        pcapng.block(10, &[&pcapng.part().u32(0x544C_534B).u32(5).bytes[..], b"RSA x"].concat());
        pcapng.turned_section().interface(101, &[]).packet(0, 3_000_000, &[b'x'; 3000]);
        let mut pcap = Writer::pcap(ByteOrder::Little, 0xA1B2_C3D4);
        pcap.record(1, 0, b"one").record(2, 500_000, &[b'y'; 2000]).record(3, 0, b"");
        [pcapng.bytes, pcap.bytes]
    }

    proptest! {
        #[test]
        fn a_stream_may_come_in_pieces_of_any_size(piece in 1usize..700) {
            for bytes in examples() {
                let expected = lines_of(&bytes);
                let pieces = Pieces { bytes: Cursor::new(bytes), piece };
                let (lines, errors) = yields(&mut Savefiles::read("pieces", pieces));
                prop_assert_eq!((lines, errors.len()), (expected, 0));
            }
        }

        #[test]
        fn a_stream_that_pauses_goes_on_where_it_was(piece in 1usize..700) {
            for bytes in examples() {
                let expected = lines_of(&bytes);
                let pauses = Pauses { pieces: Pieces { bytes: Cursor::new(bytes), piece }, comes: false };
                let (mut lines, errors) = yields(&mut Savefiles::read("pauses", pauses));
                lines.retain(|line| line != "idle");
                prop_assert_eq!((lines, errors.len()), (expected, 0));
            }
        }

        #[test]
        fn a_file_that_is_cut_yields_what_is_whole(example in 0usize..2, cut in any::<prop::sample::Index>()) {
            let whole = &examples()[example];
            let expected = lines_of(whole);
            let cut = &whole[..cut.index(whole.len())];
            let (lines, errors) = yields(&mut savefiles(&[cut]));
            prop_assert_eq!(&lines[..], &expected[..lines.len()]);
            prop_assert!(lines.len() < expected.len() && errors.len() <= 1);
            if let Some(SourceError::Damaged { offset, packets, .. }) = errors.first() {
                prop_assert!(*offset < cut.len() as u64);
                prop_assert_eq!(*packets as usize, lines.iter().filter(|line| line.starts_with('#')).count());
            }
        }

        #[test]
        fn damaged_files_never_panic(
            example in 0usize..2,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = examples()[example].clone();
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            prop_assert!(yields(&mut savefiles(&[&bytes])).1.len() <= 1);
        }

        #[test]
        fn several_files_are_merged_by_time(times in prop::collection::vec(prop::collection::vec(0u32..50, 0..30), 1..5)) {
            let mut files = Vec::new();
            for (index, times) in times.iter().enumerate() {
                let mut file = Writer::pcap(ByteOrder::Little, 0xA1B2_C3D4);
                let mut times = times.clone();
                times.sort_unstable();
                times.iter().for_each(|&time| { file.record(time + 1, 0, format!("{time:02} of {index}").as_bytes()); });
                files.push(file.bytes);
            }
            let contents: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
            let (lines, errors) = yields(&mut savefiles(&contents));
            prop_assert!(errors.is_empty());
            let text = |line: &String| line.split(": ").nth(1).map(str::to_owned);
            let found: Vec<_> = lines.iter().filter_map(text).collect();
            let mut expected = found.clone();
            expected.sort(); // by time, then by file: of equal times the first file's come first
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(found.len(), times.iter().map(Vec::len).sum::<usize>());
            for (index, line) in lines.iter().enumerate() {
                let number = format!("#{} ", index + 1);
                prop_assert!(line.starts_with(&number));
            }
        }
    }

    /// As dumpcap writes two interfaces: what it has gathered of one, then what it has of the other.
    #[test]
    fn a_file_whose_interfaces_are_not_in_order_is_put_in_order() {
        let mut file = Writer::pcapng(ByteOrder::Little);
        file.interface(1, &[(2, b"eth0")]).interface(1, &[(2, b"lo")]);
        file.packet(1, 20, b"answer").packet(1, 40, b"other answer").packet(0, 10, b"question").packet(0, 30, b"other");
        file.packet(1, 50, b"last");
        file.bytes.extend_from_slice(&[6, 0, 0, 0, 99]); // and it was cut
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.pcapng");
        std::fs::write(&path, &file.bytes).unwrap();
        let mut source = Savefiles::open(std::slice::from_ref(&path), None).unwrap();
        let (lines, errors) = yields(&mut source);
        let numbers: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(numbers, ["#3", "#1", "#4", "#2", "#5"], "{lines:?}");
        assert_eq!(errors.len(), 1, "{errors:?}");
        let names: Vec<_> = source.interfaces().iter().map(|interface| interface.name.as_deref()).collect();
        assert_eq!(names, [Some("eth0"), Some("lo")]);
        assert!(lines[0].contains("@0") && lines[1].contains("@1"), "{lines:?}");

        let (several, _) = yields(&mut Savefiles::open(&[path.clone(), path], None).unwrap());
        assert!(several[9].starts_with("#10 "), "numbers of several files run on: {several:?}");
    }

    #[test]
    fn compressed_files_are_unpacked() {
        for bytes in examples() {
            let expected = lines_of(&bytes);
            let (front, back) = bytes.split_at(100);
            let gzip = |part: &[u8]| {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap()
            };
            let zstd =
                |part: &[u8]| ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest);
            let lz4 = |part: &[u8]| {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap()
            };
            let skipped = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3]; // a frame to skip (RFC 8878 §3.1.2)
            assert_eq!(lines_of(&gzip(&bytes)), expected);
            assert_eq!(lines_of(&[gzip(front), gzip(back)].concat()), expected);
            assert_eq!(lines_of(&zstd(&bytes)), expected);
            assert_eq!(lines_of(&[&zstd(front), &skipped[..], &zstd(back)].concat()), expected);
            assert_eq!(lines_of(&lz4(&bytes)), expected);
            assert_eq!(lines_of(&[lz4(front), lz4(back)].concat()), expected);
        }
    }

    #[test]
    fn a_compressed_file_that_lacks_its_end_says_so_and_so_does_one_with_something_behind_it() {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(&examples()[1]).unwrap();
        let packed = encoder.finish().unwrap();
        for cut in [1, 3, 4, packed.len() - 5] {
            let error = yields(&mut savefiles(&[&packed[..packed.len() - cut]])).1.remove(0).to_string();
            assert!(error.contains("its lz4 compression ends too early"), "{error}");
        }
        let error = yields(&mut savefiles(&[&[&packed[..], b"what else?"].concat()])).1.remove(0).to_string();
        assert!(error.ends_with("its lz4 compression is broken"), "{error}");
    }

    #[test]
    fn a_compressed_file_that_is_cut_yields_what_could_be_unpacked() {
        let mut file = Writer::pcap(ByteOrder::Little, 0xA1B2_C3D4);
        let mut noise = 1u32;
        for second in 1..200 {
            let data: Vec<u8> = (0..400)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (noise >> 24) as u8
                })
                .collect();
            file.record(second, 0, &data);
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&file.bytes).unwrap();
        let packed = encoder.finish().unwrap();
        let (lines, errors) = yields(&mut savefiles(&[&packed[..packed.len() - 2000]]));
        assert!(lines.len() > 100 && lines.len() < 199, "{}", lines.len());
        assert!(errors[0].to_string().contains("its gzip compression ends too early"), "{}", errors[0]);
    }

    #[test]
    fn interfaces_of_several_files_do_not_meet() {
        let [pcapng, pcap] = examples();
        let mut both = savefiles(&[&pcap, &pcapng]);
        let (lines, _) = yields(&mut both);
        let names: Vec<_> =
            both.interfaces().iter().map(|interface| (interface.name.as_deref(), interface.link.0)).collect();
        assert_eq!(names, [(None, 1), (Some("eth0"), 1), (None, 276), (None, 101)]);
        let places: Vec<_> =
            lines.iter().filter_map(|line| line.split(' ').find(|word| word.starts_with('@'))).collect();
        assert_eq!(places, ["@0", "@1", "@2", "@0", "@0", "@3"]);
    }

    /// The numbers and interfaces of the next packets, and how many interfaces are known then.
    fn next_run(source: &mut Savefiles, most: usize) -> (Vec<(u64, u32)>, usize) {
        let Ok(Some(Input::Packets(packets))) = source.next(most) else { panic!("there are more packets") };
        let run = packets.map(|(packet, _)| (packet.number.0, packet.interface.0)).collect();
        (run, source.interfaces().len())
    }

    #[test]
    fn packets_come_as_many_at_once_as_are_asked_for() {
        let mut source = savefiles(&[&examples()[1]]);
        assert_eq!(next_run(&mut source, 1), (vec![(1, 0)], 1));
        assert_eq!(next_run(&mut source, 9), (vec![(2, 0), (3, 0)], 1));
        assert!(matches!(source.next(9), Ok(None)));
    }

    #[test]
    fn an_interface_is_met_with_its_first_packet() {
        let mut file = Writer::pcapng(ByteOrder::Little);
        file.interface(1, &[]).packet(0, 1, b"a").interface(1, &[]).interface(1, &[]);
        file.packet(0, 2, b"b").packet(0, 3, b"c").packet(1, 4, b"d").packet(2, 5, b"e").interface(1, &[]);
        let mut source = savefiles(&[&file.bytes]);
        assert_eq!(next_run(&mut source, 9), (vec![(1, 0)], 1));
        assert_eq!(next_run(&mut source, 9), (vec![(2, 0), (3, 0)], 1));
        assert_eq!(next_run(&mut source, 9), (vec![(4, 1), (5, 2)], 3));
        assert!(matches!(source.next(9), Ok(None)));
        assert_eq!(source.interfaces().len(), 3, "nothing was captured on the last one");
    }

    /// A file that is long enough to be read by a thread.
    #[test]
    fn reading_ahead_changes_nothing() {
        let mut file = Writer::pcap(ByteOrder::Little, 0xA1B2_C3D4);
        for second in 1..4_000 {
            file.record(second, 0, &vec![b'x'; (second as usize * 7_919) % 1_500]);
        }
        file.record(4_000, 0, &[b'y'; 200_000]).record(4_001, 0, b"z").u32(7);
        let mut there = tempfile::NamedTempFile::new().unwrap();
        there.write_all(&file.bytes).unwrap();
        let mut ahead = Savefiles::open(&[there.path().to_owned()], None).unwrap();
        let (expected, errors) = yields(&mut savefiles(&[&file.bytes]));
        let (lines, errors_ahead) = yields(&mut ahead);
        assert!(lines == expected && lines.len() == 4_001);
        let places = [errors, errors_ahead].map(|errors| match &errors[..] {
            [SourceError::Damaged { offset, packets, .. }] => (*offset, *packets),
            other => panic!("{other:?}"),
        });
        assert_eq!(places, [(file.bytes.len() as u64 - 4, 4_001); 2]);
    }

    #[test]
    fn when_one_of_several_files_is_damaged_the_others_go_on() {
        let [pcapng, pcap] = examples();
        let mut both = savefiles(&[&pcap[..pcap.len() - 20], &pcapng]);
        let (lines, errors) = yields(&mut both);
        assert_eq!((lines.len(), errors.len()), (1 + 4, 1));
        let expected =
            "0 is damaged at byte 43, after 1 packet: it ends inside a record; the capture was cut short, or goes on";
        assert_eq!(errors[0].to_string(), expected);
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let message = |path: &str| match Savefiles::open(&[PathBuf::from(path)], None) {
            Ok(_) => panic!("{path} was opened"),
            Err(error) => error.to_string(),
        };
        assert_eq!(message("/no/such.pcap"), "cannot open /no/such.pcap: No such file or directory");
        assert_eq!(message("/proc/"), "/proc/ is not a capture file: it is a directory; name files: -r /proc/*.pcap*");
    }

    #[cfg(feature = "live")]
    #[test]
    fn a_filter_leaves_the_numbers_alone() {
        let mut file = Writer::pcap(ByteOrder::Little, 0xA1B2_C3D4);
        let mut udp = Vec::new();
        let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        builder.udp(1, 2).write(&mut udp, b"x").unwrap();
        file.record(1, 0, b"not ip").record(2, 0, &udp).record(3, 0, b"no");
        let files = vec![File::new("0".to_owned(), Box::new(Cursor::new(file.bytes)))];
        let mut source = Savefiles::new(files, Some(Filter::new("udp").unwrap()));
        let (lines, _) = yields(&mut source);
        assert!(lines.len() == 1 && lines[0].starts_with("#2 "), "{lines:?}");
        assert_eq!(source.counts().filtered, 2);
    }
}
