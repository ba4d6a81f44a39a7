//! The names of files that are written one after another, as tcpdump makes them.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// When the next file begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rotation {
    /// After so many bytes (`-C`).
    pub bytes: Option<u64>,
    /// After so many seconds (`-G`).
    pub seconds: Option<u64>,
    /// By size: so many files at most, then the first is written over. By time: so many files, then the capture is over
    /// (`-W`).
    pub files: Option<u32>,
}

/// Names files.
#[derive(Clone, Debug)]
pub struct Names {
    template: PathBuf,
    rotation: Rotation,
    zone: TimeZone,
}

impl Names {
    /// From the name that was given, with conversions of strftime(3) where files change by time.
    pub fn new(template: &Path, rotation: Rotation) -> Names {
        Names { template: template.to_owned(), rotation, zone: TimeZone::system() }
    }

    /// The name of a file that begins at `at` and has this number among those of its time.
    ///
    /// # Errors
    ///
    /// When the template has a conversion that strftime does not know, in words.
    pub fn name(&self, at: Timestamp, number: u32) -> Result<PathBuf, String> {
        let mut name = match self.rotation.seconds {
            Some(_) => self.expanded(at)?,
            None => self.template.clone(),
        };
        let digits = self.digits();
        if self.rotation.bytes.is_some() && (number > 0 || digits > 0) {
            name.as_mut_os_string().push(format!("{number:0digits$}"));
        }
        Ok(name)
    }

    /// The number of the next file by size.
    pub fn next(&self, number: u32) -> u32 {
        match self.rotation.files {
            Some(files) if self.rotation.seconds.is_none() => (number + 1) % files.max(1),
            _ => number.saturating_add(1),
        }
    }

    /// As many as the greatest number has, so that names sort.
    fn digits(&self) -> usize {
        match self.rotation.files {
            Some(files) if files > 1 => (files - 1).ilog10() as usize + 1,
            _ => 0,
        }
    }

    fn expanded(&self, at: Timestamp) -> Result<PathBuf, String> {
        let template = self.template.to_string_lossy();
        let second = i64::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(i64::MAX);
        let zoned = jiff::Timestamp::from_second(second).map(|at| at.to_zoned(self.zone.clone()));
        let name = zoned.and_then(|zoned| jiff::fmt::strtime::format(&*template, &zoned));
        name.map(PathBuf::from).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_parts(1_795_219_089, 0); // 2026-11-20T23:58:09Z

    fn names(template: &str, rotation: Rotation) -> impl Fn(u32) -> String {
        let names = Names { zone: TimeZone::UTC, ..Names::new(Path::new(template), rotation) };
        move |number| names.name(AT, number).expect("a good template").display().to_string()
    }

    #[test]
    fn as_tcpdump_names_them() {
        let one = names("a.pcapng", Rotation::default());
        assert_eq!(one(0), "a.pcapng");
        let by_size = names("a.pcapng", Rotation { bytes: Some(1), ..Rotation::default() });
        assert_eq!([by_size(0), by_size(1), by_size(12)], ["a.pcapng", "a.pcapng1", "a.pcapng12"]);
        let ring = names("a", Rotation { bytes: Some(1), files: Some(11), ..Rotation::default() });
        assert_eq!([ring(0), ring(1), ring(10)], ["a00", "a01", "a10"]);
        let by_time = names("%H-%M.pcapng", Rotation { seconds: Some(1), ..Rotation::default() });
        assert_eq!(by_time(0), "23-58.pcapng");
        let both = names("%S", Rotation { bytes: Some(1), seconds: Some(1), files: None });
        assert_eq!([both(0), both(2)], ["09", "092"]);
    }

    #[test]
    fn a_ring_begins_again() {
        let names = Names::new(Path::new("a"), Rotation { bytes: Some(1), files: Some(3), ..Rotation::default() });
        assert_eq!([names.next(0), names.next(1), names.next(2)], [1, 2, 0]);
    }

    #[test]
    fn what_strftime_does_not_know_is_said() {
        let names = Names::new(Path::new("%!"), Rotation { seconds: Some(1), ..Rotation::default() });
        assert!(names.name(AT, 0).is_err());
    }
}
