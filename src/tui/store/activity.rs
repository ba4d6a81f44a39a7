//! A session's traffic over its life, in a few bars: `▂▅▇▁`.

use std::time::Duration;

use crate::time::Timestamp;

/// Bars that are kept.
pub(in crate::tui) const BARS: usize = 8;

/// Bytes by time since the session began. When time goes beyond the last bar, bars are merged in pairs, so that the whole
/// life is always there.
#[derive(Clone, Debug)]
pub(in crate::tui) struct Activity {
    bars: [u64; BARS],
    width: Duration,
}

impl Default for Activity {
    fn default() -> Self {
        Activity { bars: [0; BARS], width: Duration::from_millis(125) }
    }
}

impl Activity {
    /// Notes so many bytes, so long after the beginning.
    pub fn add(&mut self, since: Duration, bytes: u64) {
        while since >= self.width * BARS as u32 {
            for bar in 0..BARS / 2 {
                self.bars[bar] = self.bars[2 * bar] + self.bars[2 * bar + 1];
            }
            self.bars[BARS / 2..].fill(0);
            self.width *= 2;
        }
        let bar = (since.as_nanos() / self.width.as_nanos()) as usize;
        self.bars[bar.min(BARS - 1)] += bytes.max(1);
    }

    /// `columns` bars from the beginning to `until`, each a character from `▁` to `█`; a space where nothing was said.
    pub fn graph(&self, start: Timestamp, until: Timestamp, columns: usize) -> String {
        let life = until.since(start).as_nanos();
        let used = ((life / self.width.as_nanos()) as usize + 1).min(BARS);
        let columns = columns.min(used);
        let sums: Vec<u64> = (0..columns)
            .map(|column| self.bars[column * used / columns..(column + 1) * used / columns].iter().sum())
            .collect();
        let most = sums.iter().copied().max().unwrap_or(0).max(1);
        sums.iter().map(|&sum| bar(sum, most)).collect()
    }
}

/// The height shows the order of magnitude: a chat beside a download is still seen.
fn bar(bytes: u64, most: u64) -> char {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if bytes == 0 {
        return ' ';
    }
    let share = (bytes as f64).ln_1p() / (most as f64).ln_1p();
    HEIGHTS[((share * 8.0).ceil() as usize).clamp(1, 8) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_life_stays() {
        let mut activity = Activity::default();
        activity.add(Duration::ZERO, 1_000);
        activity.add(Duration::from_secs(3600), 1_000);
        let start = Timestamp::from_parts(100, 0);
        let graph = activity.graph(start, start.plus(Duration::from_secs(3600)), 4);
        assert_eq!(graph.chars().count(), 4);
        assert_eq!((graph.chars().next(), graph.chars().last()), (Some('█'), Some('█')));
        assert_eq!(graph.chars().nth(1), Some(' '));
    }

    #[test]
    fn a_short_life_is_a_short_graph() {
        let mut activity = Activity::default();
        activity.add(Duration::from_millis(1), 5);
        let start = Timestamp::from_parts(100, 0);
        assert_eq!(activity.graph(start, start.plus(Duration::from_millis(10)), 3), "█");
    }
}
