//! Compressed streams, recognised by how they begin.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// A format that savefiles are compressed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Lz4,
}

impl Compression {
    /// The format of a stream that begins so, if it is one.
    pub(super) fn recognise(beginning: &[u8]) -> Option<Compression> {
        match beginning {
            [0x1F, 0x8B, ..] => Some(Compression::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Some(Compression::Zstd),
            [0x04, 0x22, 0x4D, 0x18, ..] => Some(Compression::Lz4),
            _ => None,
        }
    }

    /// Unpacks a stream. Several of them one after another are one, as `cat a.gz b.gz` makes it.
    pub(super) fn unpack(self, reader: impl Read + Send + 'static) -> Box<dyn Read + Send> {
        /// Small: of a stream that is broken, what the decompressor made of the same chunk before the fault is lost.
        const CHUNK: usize = 8 << 10;
        let reader = BufReader::with_capacity(CHUNK, reader);
        match self {
            Compression::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Compression::Zstd => Box::new(ZstdFrames { source: reader, decoder: FrameDecoder::new(), in_frame: false }),
            Compression::Lz4 => Box::new(Lz4Frames(Lz4Decoder::new(Noticing { source: reader, ended: false }))),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
        })
    }
}

/// All frames of an lz4 stream. The decoder stops at the end of each, and takes the end of the stream for it.
struct Lz4Frames<R: BufRead>(Lz4Decoder<Noticing<R>>);

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            let reader = self.0.get_mut();
            if reader.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if reader.source.fill_buf()?.is_empty() {
                return Ok(0);
            }
        }
    }
}

/// A stream, and whether somebody wanted more than it has.
struct Noticing<R> {
    source: R,
    ended: bool,
}

impl<R: BufRead> Read for Noticing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(out)?;
        self.ended |= read == 0 && !out.is_empty();
        Ok(read)
    }
}

/// All frames of a zstd stream (RFC 8878 §3): compressors that work in parallel write many.
struct ZstdFrames<R> {
    source: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    /// Begins the next frame; `false` at the end of the stream.
    fn begin_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.source.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame {
                if !self.begin_frame()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            if self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
            }
            let read = self.decoder.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            self.in_frame = !self.decoder.is_finished();
        }
    }
}
