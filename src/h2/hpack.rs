//! HPACK, the compression of header fields (RFC 7541), for one who listens.
//!
//! A [`Decoder`] follows the dynamic table that the two ends share. One who joins late, or who missed bytes, lacks entries
//! of it: a field that refers to one is told as not seen. Entries that are added later are known, for an index counts from
//! the newest entry.

mod huffman;
mod static_table;
mod table;

use table::Table;

/// A header field as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its name; `None` when it refers to an entry that was not seen.
    pub name: Option<&'a [u8]>,
    /// Its value, likewise.
    pub value: Option<&'a [u8]>,
}

/// Why a block of fields could not be read to its end (RFC 7541, section in brackets).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// An integer above 32 bits [§5.1].
    Integer,
    /// An index that no entry has [§2.3.3].
    Index,
    /// A string that is not in the Huffman code [§5.2].
    Huffman,
    /// The block ends inside a field.
    Truncated,
}

/// Reads the blocks of fields that one end of a connection sends.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// The representations of a field (RFC 7541 §6), by the first bits of each.
enum Representation {
    Indexed(u32),
    Literal { name: u32, keep: bool },
    TableSize(u32),
}

impl Decoder {
    /// Follows a connection from its beginning. Of a dynamic table at most `most` bytes are kept: what is beyond counts as
    /// not seen.
    pub fn new(most: usize) -> Decoder {
        Decoder { table: Table::new(most), name: Vec::new(), value: Vec::new() }
    }

    /// Blocks were missed, or the beginning of the connection was: what the table holds now was not seen.
    pub fn forget(&mut self) {
        self.table.forget();
    }

    /// How often entries were given up because the table would have grown beyond its bound.
    pub fn overflows(&self) -> u64 {
        self.table.overflows()
    }

    /// Reads one block and tells its fields in order. After an error the rest of the block is not read, and the table is
    /// not known any more.
    pub fn decode(&mut self, block: &[u8], each: &mut dyn FnMut(Field<'_>)) -> Result<(), Broken> {
        let result = self.fields(block, each);
        if result.is_err() {
            self.forget();
        }
        result
    }

    fn fields(&mut self, block: &[u8], each: &mut dyn FnMut(Field<'_>)) -> Result<(), Broken> {
        let mut input = Input(block);
        while let Some(representation) = input.representation()? {
            match representation {
                Representation::Indexed(index) => each(self.table.entry(index).ok_or(Broken::Index)?),
                Representation::Literal { name, keep } => self.literal(name, keep, &mut input, each)?,
                Representation::TableSize(size) => self.table.resize(size as usize),
            }
        }
        Ok(())
    }

    fn literal(
        &mut self,
        index: u32,
        keep: bool,
        input: &mut Input<'_>,
        each: &mut dyn FnMut(Field<'_>),
    ) -> Result<(), Broken> {
        let name = match index {
            0 => Some(input.string(&mut self.name)?),
            _ => self.table.entry(index).ok_or(Broken::Index)?.name,
        };
        let value = input.string(&mut self.value)?;
        let field = Field { name, value: Some(value) };
        each(field);
        if keep {
            let entry = table::Entry::new(field);
            self.table.insert(entry);
        }
        Ok(())
    }
}

/// The rest of a block.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// What comes next; `None` at the end.
    fn representation(&mut self) -> Result<Option<Representation>, Broken> {
        let Some(&first) = self.0.first() else { return Ok(None) };
        Ok(Some(match first {
            0x80.. => Representation::Indexed(self.integer(7)?),
            0x40.. => Representation::Literal { name: self.integer(6)?, keep: true },
            0x20.. => Representation::TableSize(self.integer(5)?),
            // Without indexing, and never indexed: the same for a listener.
            _ => Representation::Literal { name: self.integer(4)?, keep: false },
        }))
    }

    /// An integer that begins in the last `prefix` bits of the next byte (RFC 7541 §5.1).
    fn integer(&mut self, prefix: u32) -> Result<u32, Broken> {
        let most = (1_u64 << prefix) - 1;
        let mut value = u64::from(self.byte()?) & most;
        if value < most {
            return Ok(value as u32);
        }
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Broken::Integer);
            }
        }
        Err(Broken::Integer)
    }

    /// A string (RFC 7541 §5.2): as it stands in the block, or in `room` when it is in the Huffman code.
    fn string<'r>(&mut self, room: &'r mut Vec<u8>) -> Result<&'r [u8], Broken>
    where
        'a: 'r,
    {
        let compressed = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)? as usize;
        let (string, rest) = self.0.split_at_checked(length).ok_or(Broken::Truncated)?;
        self.0 = rest;
        if !compressed {
            return Ok(string);
        }
        room.clear();
        huffman::decode(string, room).map_err(|_| Broken::Huffman)?;
        Ok(room)
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let (&first, rest) = self.0.split_first().ok_or(Broken::Truncated)?;
        self.0 = rest;
        Ok(first)
    }
}

#[cfg(test)]
pub(in crate::h2) mod tests {
    use super::huffman::tests::encode;
    use super::*;
    use proptest::prelude::*;

    /// A literal field that is added to the table, its strings in the Huffman code.
    pub(in crate::h2) fn literal(name: &str, value: &str) -> Vec<u8> {
        let mut block = vec![0x40];
        for text in [name, value] {
            let text = encode(text.as_bytes());
            assert!(text.len() < 127, "a test's strings are short");
            block.push(0x80 | text.len() as u8);
            block.extend(text);
        }
        block
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let value = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
        digits.chunks(2).map(|pair| value(pair[0]) * 16 + value(pair[1])).collect()
    }

    fn decode(decoder: &mut Decoder, block: &[u8]) -> (Vec<String>, Result<(), Broken>) {
        let mut fields = Vec::new();
        let word = |bytes: Option<&[u8]>| bytes.map_or("?".into(), |bytes| String::from_utf8_lossy(bytes).into_owned());
        let result = decoder.decode(block, &mut |field| {
            fields.push(format!("{}={}", word(field.name), word(field.value)));
        });
        (fields, result)
    }

    fn read(decoder: &mut Decoder, hex: &str) -> String {
        let (fields, result) = decode(decoder, &bytes(hex));
        assert_eq!(result, Ok(()));
        fields.join(" ")
    }

    /// RFC 7541 C.1.
    #[test]
    fn rfc7541_c_1_integers() {
        let integer = |prefix, bytes: &[u8]| Input(bytes).integer(prefix);
        assert_eq!(integer(5, &[0b1110_1010]), Ok(10));
        assert_eq!(integer(5, &[0b0001_1111, 0b1001_1010, 0b0000_1010]), Ok(1337));
        assert_eq!(integer(8, &[42]), Ok(42));
        assert_eq!(integer(5, &[31, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(Broken::Integer));
        assert_eq!(integer(5, &[31, 0xe0, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(integer(5, &[31, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err(Broken::Integer));
        assert_eq!(integer(5, &[31, 0x80]), Err(Broken::Truncated));
    }

    /// RFC 7541 C.2.
    #[test]
    fn rfc7541_c_2_representations() {
        let mut decoder = Decoder::new(4096);
        let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
        assert_eq!(read(&mut decoder, custom), "custom-key=custom-header");
        assert_eq!(decoder.table.size(), 55);
        assert_eq!(read(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468"), ":path=/sample/path");
        assert_eq!(read(&mut decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74"), "password=secret");
        assert_eq!(read(&mut decoder, "82"), ":method=GET");
        assert_eq!(decoder.table.size(), 55);
    }

    const REQUESTS: [&str; 3] = [
        ":method=GET :scheme=http :path=/ :authority=www.example.com",
        ":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache",
        ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value",
    ];

    /// RFC 7541 C.3: requests without Huffman code.
    #[test]
    fn rfc7541_c_3_requests() {
        let mut decoder = Decoder::new(4096);
        let blocks = [
            ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", 57),
            ("8286 84be 5808 6e6f 2d63 6163 6865", 110),
            ("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", 164),
        ];
        for ((block, size), expected) in blocks.into_iter().zip(REQUESTS) {
            assert_eq!(read(&mut decoder, block), expected);
            assert_eq!(decoder.table.size(), size);
        }
    }

    /// RFC 7541 C.4: the same with it.
    #[test]
    fn rfc7541_c_4_requests() {
        let mut decoder = Decoder::new(4096);
        let blocks = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        for (block, expected) in blocks.into_iter().zip(REQUESTS) {
            assert_eq!(read(&mut decoder, block), expected);
        }
        assert_eq!(decoder.table.size(), 164);
    }

    const DATE: &str = "cache-control=private date=Mon, 21 Oct 2013 20:13:21 GMT location=https://www.example.com";

    /// RFC 7541 C.5: responses, with a table of 256 bytes that evicts.
    #[test]
    fn rfc7541_c_5_responses() {
        let mut decoder = Decoder::new(4096);
        decoder.table.resize(256);
        let first = "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 \
            3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d";
        assert_eq!(read(&mut decoder, first), format!(":status=302 {DATE}"));
        assert_eq!(decoder.table.size(), 222);
        assert_eq!(read(&mut decoder, "4803 3330 37c1 c0bf"), format!(":status=307 {DATE}"));
        assert_eq!(decoder.table.size(), 222);
        let third = "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 \
            7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 \
            3d33 3630 303b 2076 6572 7369 6f6e 3d31";
        let expected = ":status=200 cache-control=private date=Mon, 21 Oct 2013 20:13:22 GMT location=https://www.example.com \
            content-encoding=gzip set-cookie=foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
        assert_eq!(read(&mut decoder, third), expected);
        assert_eq!(decoder.table.size(), 215);
    }

    /// RFC 7541 C.6: the same with Huffman code.
    #[test]
    fn rfc7541_c_6_responses() {
        let mut decoder = Decoder::new(4096);
        decoder.table.resize(256);
        let first = "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad \
            1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
        assert_eq!(read(&mut decoder, first), format!(":status=302 {DATE}"));
        assert_eq!(read(&mut decoder, "4883 640e ffc1 c0bf"), format!(":status=307 {DATE}"));
        assert_eq!(decoder.table.size(), 222);
    }

    #[test]
    fn entries_that_were_not_seen_are_not_guessed() {
        let mut decoder = Decoder::new(4096);
        decoder.forget();
        let mut block = vec![0xbe, 0x7f, 0x00, 0x01, b'x']; // entry 62, and a literal whose name is entry 63
        block.extend(literal("a", "b"));
        block.extend([0xbe, 0xbf, 0xc0]);
        let (fields, result) = decode(&mut decoder, &block);
        assert_eq!((fields.join(" ").as_str(), result), ("?=? ?=x a=b a=b ?=x ?=?", Ok(())));
    }

    #[test]
    fn an_error_makes_the_table_unknown() {
        let mut decoder = Decoder::new(4096);
        assert_eq!(decode(&mut decoder, &[0xbe]).1, Err(Broken::Index));
        assert_eq!(read(&mut decoder, "be"), "?=?", "what was in the block behind it may have been added");
        for (block, expected) in [
            (&[0x80][..], Broken::Index),
            (&[0x40, 0x81, 0xff, 0x01, b'x'], Broken::Huffman),
            (&[0x40, 0x05, b'x'], Broken::Truncated),
            (&[0x40], Broken::Truncated),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Broken::Integer),
        ] {
            assert_eq!(decode(&mut decoder, block).1, Err(expected), "{block:x?}");
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let mut decoder = Decoder::new(100);
        decoder.table.resize(1 << 20);
        for _ in 0..100 {
            decode(&mut decoder, &literal("name", "value")).1.unwrap();
        }
        assert!(decoder.table.size() <= 100 && decoder.overflows() > 0);
        assert_eq!(read(&mut decoder, "bec0"), "name=value ?=?");
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_bounded(blocks: Vec<Vec<u8>>) {
            let mut decoder = Decoder::new(256);
            for block in blocks {
                let (fields, _) = decode(&mut decoder, &block);
                prop_assert!(fields.len() <= block.len());
                prop_assert!(decoder.table.size() <= 256);
            }
        }

        #[test]
        fn what_is_encoded_comes_back(fields in proptest::collection::vec(("[a-z]{0,20}", "[ -~]{0,60}"), 0..20)) {
            let mut decoder = Decoder::new(4096);
            let mut all = Vec::new();
            for (name, value) in &fields {
                all.push(format!("{name}={value}"));
                let (read, result) = decode(&mut decoder, &literal(name, value));
                prop_assert_eq!(result, Ok(()));
                prop_assert_eq!(&read[0], all.last().unwrap());
            }
        }
    }
}
